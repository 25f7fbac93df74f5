import type { Redis } from 'ioredis';
import type { IsletError } from '../errors.ts';

interface Waiter {
  wake(stored: string | undefined): void;
  fail(error: Error): void;
}

/** How long, in milliseconds, the last look before a time-out may take. */
const lastLookMs = 500;

export class ResultFeed {
  readonly #duplicate: () => Redis;
  /** The callers that wait, by the key of the result, which is also the channel that tells it. */
  readonly #waiters = new Map<string, Set<Waiter>>();
  /** Two connections, opened at the first wait: a subscribed one can read nothing else. */
  #open: { reading: Redis; subscriber: Redis } | undefined;

  constructor(duplicate: () => Redis) {
    this.#duplicate = duplicate;
  }

  /** Waits for what is stored under a key, at most `timeoutMs` milliseconds. */
  wait(key: string, timeoutMs: number): Promise<string | undefined> {
    const { reading, subscriber } = this.#connect();
    const group = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, group);
    let waiter: Waiter;
    let timer: NodeJS.Timeout;
    const told = new Promise<string | undefined>((wake, fail) => {
      waiter = { wake, fail };
      group.add(waiter);
      timer = setTimeout(() => {
        timer = setTimeout(wake, lastLookMs, undefined);
        const found = reading.get(key);
        found.then((stored) => wake(stored ?? undefined)).catch(() => {});
      }, timeoutMs);
    });
    this.#look(key);
    return told.finally(() => {
      clearTimeout(timer);
      group.delete(waiter);
      if (group.size === 0 && this.#waiters.delete(key)) subscriber.unsubscribe(key).catch(() => {});
    });
  }

  #connect() {
    if (this.#open) return this.#open;
    const open = { reading: this.#duplicate(), subscriber: this.#duplicate() };
    this.#open = open;
    open.subscriber.on('message', (key: string, stored: string) => this.#wakeAll(key, stored));
    for (const client of Object.values(open)) {
      // A result that was published while a connection was lost was missed, so all awaited keys are read again.
      client.on('ready', () => [...this.#waiters.keys()].forEach(this.#look));
    }
    return open;
  }

  #wakeAll(key: string, stored: string): void {
    for (const { wake } of this.#waiters.get(key) ?? []) wake(stored);
  }

  /** Subscribes to the channel of a result before it reads, so that no result slips between. */
  readonly #look = (key: string): void => {
    const { reading, subscriber } = this.#connect();
    const found = subscriber.subscribe(key).then(() => reading.get(key));
    found.then((stored) => stored && this.#wakeAll(key, stored)).catch(() => {});
  };

  close(error: IsletError): void {
    for (const group of this.#waiters.values()) for (const { fail } of group) fail(error);
    this.#open?.reading.disconnect();
    this.#open?.subscriber.disconnect();
  }
}
