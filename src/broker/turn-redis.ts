import type { Socket } from 'node:net';
import { Redis } from 'ioredis';

/** Commands that follow one another within so many milliseconds are a burst. */
const burstMs = 1;
/** So many bytes of a burst may wait: Redis can begin with the first command while the last are still being made. */
const mostBytes = 16_384;

/**
 * A client that writes a burst of commands to its socket at once: ten replies come with one read, and the ten commands
 * that follow leave with one write, in the same turn of the event loop. A command that comes alone does not wait.
 */
export class TurnRedis extends Redis {
  #sentAt = 0;
  #corked: Socket | undefined;

  override sendCommand(...command: Parameters<Redis['sendCommand']>): unknown {
    const now = performance.now();
    // A Redis that has no room for a connection says so and closes it: a second write would fail before that is read.
    const isHandshake = this.status === 'connect';
    const isBurst = isHandshake || (now - this.#sentAt < burstMs && this.status === 'ready');
    this.#sentAt = now;
    if (!this.#corked && isBurst) {
      this.#corked = this.stream as Socket;
      this.#corked.cork();
      process.nextTick(this.#uncork);
    }
    if (command[0].name === 'select') command[0].promise.catch((error: Error) => this.#refuseDatabase(error));
    const sent = super.sendCommand(...command);
    // The next steps may take long.
    if (this.#corked && (!isBurst || this.#corked.writableLength > mostBytes)) this.#uncork();
    return sent;
  }

  readonly #uncork = () => {
    this.#corked?.uncork();
    this.#corked = undefined;
  };

  /** Ends a connection that Redis gave no database: ioredis would go on with the jobs of another one. */
  #refuseDatabase(error: Error): void {
    this.emit('error', error);
    this.disconnect();
  }

  /** Ends a connection only once. ioredis would end it, and listen once more, for each command that READONLY refuses. */
  override disconnect(reconnect = false): void {
    if (!reconnect || !this.stream?.writableEnded) super.disconnect(reconnect);
  }
}
