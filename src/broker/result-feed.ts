import type { Redis } from 'ioredis';
import type { IsletError } from '../errors.ts';

interface Waiter {
  wake(stored: string | undefined): void;
  fail(error: Error): void;
}

/** Those who wait for what is stored under one key. */
interface Group {
  readonly key: string;
  readonly waiters: Set<Waiter>;
  isReading: boolean;
  /** There was a message during a read, which may have come too early for it. */
  isStale: boolean;
}

/** How long, in milliseconds, the last look before a time-out may take. */
const lastLookMs = 500;

/** Waits for what is stored under keys. A message only wakes: whoever may publish could say anything. */
export class ResultFeed {
  readonly #duplicate: () => Redis;
  /** The callers that wait, by the channel that wakes them. */
  readonly #groups = new Map<string, Group>();
  /** Two connections, opened at the first wait: a subscribed one can read nothing else. */
  #open: { reading: Redis; subscriber: Redis } | undefined;

  constructor(duplicate: () => Redis) {
    this.#duplicate = duplicate;
  }

  /** Waits for what is stored under a key, at most `timeoutMs` milliseconds. */
  wait(key: string, channel: string, timeoutMs: number): Promise<string | undefined> {
    const { reading, subscriber } = this.#connect();
    const group = this.#groups.get(channel) ?? { key, waiters: new Set(), isReading: false, isStale: false };
    this.#groups.set(channel, group);
    let waiter: Waiter;
    let timer: NodeJS.Timeout;
    const told = new Promise<string | undefined>((wake, fail) => {
      waiter = { wake, fail };
      group.waiters.add(waiter);
      timer = setTimeout(() => {
        timer = setTimeout(wake, lastLookMs, undefined);
        const found = reading.get(key);
        found.then((stored) => wake(stored ?? undefined)).catch(() => {});
      }, timeoutMs);
    });
    this.#look(channel);
    return told.finally(() => {
      clearTimeout(timer);
      group.waiters.delete(waiter);
      if (group.waiters.size === 0 && this.#groups.delete(channel)) subscriber.unsubscribe(channel).catch(() => {});
    });
  }

  #connect() {
    if (this.#open) return this.#open;
    const open = { reading: this.#duplicate(), subscriber: this.#duplicate() };
    this.#open = open;
    open.subscriber.on('message', (channel: string) => void this.#read(channel));
    for (const client of Object.values(open)) {
      // A result that was published while a connection was lost was missed, so all awaited keys are read again.
      client.on('ready', () => [...this.#groups.keys()].forEach(this.#look));
    }
    return open;
  }

  /** Subscribes to a channel before it reads, so that nothing slips between. */
  readonly #look = (channel: string): void => {
    const { subscriber } = this.#connect();
    subscriber.subscribe(channel).then(
      () => this.#read(channel),
      () => {},
    );
  };

  /** Reads what is stored, and wakes those who wait for it. Never rejects. */
  async #read(channel: string): Promise<void> {
    const group = this.#groups.get(channel);
    if (!group) return;
    group.isStale = group.isReading;
    if (group.isReading) return;
    group.isReading = true;
    const stored = await this.#connect()
      .reading.get(group.key)
      .catch(() => null);
    group.isReading = false;
    if (stored !== null) for (const { wake } of group.waiters) wake(stored);
    else if (group.isStale) await this.#read(channel);
  }

  close(error: IsletError): void {
    for (const { waiters } of this.#groups.values()) for (const { fail } of waiters) fail(error);
    this.#open?.reading.disconnect();
    this.#open?.subscriber.disconnect();
  }
}
