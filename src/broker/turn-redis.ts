import type { Socket } from 'node:net';
import { Redis, type RedisOptions } from 'ioredis';

/**
 * A client that writes to its socket once per turn of the event loop: ten replies come with one read, and the ten commands
 * that follow from them leave with one write. Nothing waits longer than for the code that runs now.
 */
export class TurnRedis extends Redis {
  #corked: Socket | undefined;

  constructor(url: string, options: RedisOptions) {
    super(url, { ...options, replyMapping: 'legacy' });
  }

  readonly #uncork = () => {
    this.#corked?.uncork();
    this.#corked = undefined;
  };

  /** Does not end a connection twice: ioredis does so, and listens once more, for each command that READONLY refuses. */
  override disconnect(reconnect = false): void {
    if (!reconnect || !this.stream?.writableEnded) super.disconnect(reconnect);
  }

  override sendCommand(...command: Parameters<Redis['sendCommand']>): unknown {
    if (this.#corked === undefined && this.status === 'ready') {
      this.#corked = this.stream as Socket;
      this.#corked.cork();
      process.nextTick(this.#uncork);
    }
    return super.sendCommand(...command);
  }
}
