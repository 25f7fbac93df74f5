import type { Redis } from 'ioredis';
import { connectOnce, createClient, isNoPrimary } from './connection.ts';

/** Tells that an outage begins, with a reason if Redis gave one, or that it is over after so many milliseconds. */
export type ConnectionEvent = { lost: true; reason?: string } | { lost: false; downMs: number };

const connectLimitMs = 5_000;
const longestRetryMs = 1_000;

/**
 * The connection of a worker. It waits for the end of any outage, and then sends again what was not answered. An outage
 * is over when Redis takes writes: one that loads its data, or has become a replica, takes connections before.
 */
export class WorkerConnection {
  readonly client: Redis;
  readonly #url: string;
  readonly #prefix: string;
  readonly #onChange: (event: ConnectionEvent) => void;
  #waitsOut = false;
  #lostAt: number | undefined;
  #reason: string | undefined;
  #isProbing = false;

  constructor(url: string, prefix: string, onChange: (event: ConnectionEvent) => void) {
    this.#url = url;
    this.#prefix = prefix;
    this.#onChange = onChange;
    this.client = createClient(url, {
      maxRetriesPerRequest: null,
      retryStrategy: (times) => (this.#reason ? longestRetryMs : Math.min(times * 100, longestRetryMs)),
      reconnectOnError: (error) => this.#onRefusal(error),
    });
  }

  /** Throws `E_REDIS_UNREACHABLE` or `E_REDIS_REFUSED`. */
  async open(): Promise<void> {
    await connectOnce(this.client, this.#url, connectLimitMs);
    this.client.on('close', () => this.#lost());
    this.client.on('ready', () => void this.#probe());
  }

  /** Waits from now on also while Redis is not the primary: the start is over. */
  waitOut(): void {
    this.#waitsOut = true;
  }

  /** Connects again after a failover, to find the new primary. With 2, ioredis repeats the command then. */
  #onRefusal(error: Error): 2 | false {
    if (!this.#waitsOut || !isNoPrimary(error)) return false;
    this.#reason = error.message;
    return 2;
  }

  #lost(): void {
    if (this.#lostAt !== undefined) return;
    this.#lostAt = performance.now();
    this.#onChange({ lost: true, reason: this.#reason });
  }

  async #probe(): Promise<void> {
    if (this.#lostAt === undefined || this.#isProbing) return;
    this.#isProbing = true;
    // This key is never set. A Redis that refuses all writes for another reason is back all the same.
    await this.client.del(`${this.#prefix}:islet:probe`).catch(() => {});
    this.#isProbing = false;
    if (this.client.status !== 'ready') return;
    const downMs = Math.round(performance.now() - this.#lostAt);
    this.#lostAt = undefined;
    this.#reason = undefined;
    this.#onChange({ lost: false, downMs });
  }

  close(): void {
    this.client.removeAllListeners('close');
    this.client.disconnect();
  }
}
