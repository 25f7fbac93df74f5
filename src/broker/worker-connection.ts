import type { Redis } from 'ioredis';
import { hidePasswords, IsletError } from '../errors.ts';
import { connectOnce, createClient, isNoPrimary } from './connection.ts';

/** Tells that an outage begins, with a reason if Redis gave one, or that it is over after so many milliseconds. */
export type ConnectionEvent = { lost: true; reason?: string } | { lost: false; downMs: number };

export interface ConnectionHost {
  onChange(event: ConnectionEvent): void;
  /** Called when Redis stays a replica; perhaps again and again. */
  onLasting(error: IsletError): void;
}

/** A failover takes less than this. */
const replicaLimitMs = 25_000;
/** A command that a replica refuses is sent again at least that often. */
const replicaGapMs = 5_000;
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
  readonly #host: ConnectionHost;
  #waitsOut = false;
  #lostAt: number | undefined;
  #reason: string | undefined;
  #isProbing = false;
  /** Since when Redis has said, again and again, that it is a replica, and when last, by performance.now(). */
  #replicaSince = 0;
  #replicaAt = Number.NEGATIVE_INFINITY;

  constructor(url: string, prefix: string, host: ConnectionHost) {
    this.#url = url;
    this.#prefix = prefix;
    this.#host = host;
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
    this.#watchReplica(error.message);
    return 2;
  }

  /** Gives up a Redis that stays a replica: after a failover, the name in REDIS_URL leads to the primary soon. */
  #watchReplica(said: string): void {
    if (/^LOADING/.test(said)) return;
    const now = performance.now();
    if (now - this.#replicaAt > replicaGapMs) this.#replicaSince = now;
    this.#replicaAt = now;
    if (now - this.#replicaSince < replicaLimitMs) return;
    const seen = `Redis at ${hidePasswords(this.#url)} has taken no writes for ${replicaLimitMs / 1_000} s: ${said}`;
    const advice = 'Point REDIS_URL to the primary. The worker has to be replaced.';
    this.#host.onLasting(new IsletError('E_REDIS_NOT_READY', `${seen.replace(/\.$/, '')}. ${advice}`));
  }

  #lost(): void {
    if (this.#lostAt !== undefined) return;
    this.#lostAt = performance.now();
    this.#host.onChange({ lost: true, reason: this.#reason });
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
    this.#host.onChange({ lost: false, downMs });
  }

  close(): void {
    this.client.removeAllListeners('close');
    this.client.disconnect();
  }
}
