import type { Redis } from 'ioredis';
import type { IsletError } from '../errors.ts';
import { jobFields } from './bullmq-names.ts';
import { progressMessage } from './kept-result.ts';
import type { QueueHandle } from './queue-handle.ts';
import { readJson } from './read-stored.ts';

type OnProgress = (progress: unknown) => void;

interface Waiter {
  wake(stored: string | undefined): void;
  fail(error: Error): void;
  onProgress: OnProgress | undefined;
}

/** Those who wait for the result of one job. */
interface Group {
  readonly resultKey: string;
  readonly jobKey: string;
  readonly waiters: Set<Waiter>;
  isReading: boolean;
  /** There was a message during a read, which may have come too early for it. */
  isStale: boolean;
}

/** How long, in milliseconds, the last look before a time-out may take. */
const lastLookMs = 500;

/** Waits for the results of jobs. A message only wakes: whoever may publish could say anything. */
export class ResultFeed {
  readonly #duplicate: () => Redis;
  /** The callers that wait, by the channel that wakes them. */
  readonly #groups = new Map<string, Group>();
  /** Two connections, opened at the first wait: a subscribed one can read nothing else. */
  #open: { reading: Redis; subscriber: Redis } | undefined;

  constructor(duplicate: () => Redis) {
    this.#duplicate = duplicate;
  }

  /** Waits for what is stored as a job's result, at most `limitMs` milliseconds, and tells its progress meanwhile. */
  wait(
    queue: QueueHandle,
    jobId: string,
    { limitMs, onProgress }: { limitMs: number; onProgress: OnProgress | undefined },
  ): Promise<string | undefined> {
    const { reading, subscriber } = this.#connect();
    const channel = queue.resultChannel(jobId);
    const group = this.#groups.get(channel) ?? this.#openGroup(queue, jobId);
    let waiter: Waiter;
    let timer: NodeJS.Timeout;
    const told = new Promise<string | undefined>((wake, fail) => {
      waiter = { wake, fail, onProgress };
      group.waiters.add(waiter);
      timer = setTimeout(() => {
        timer = setTimeout(wake, lastLookMs, undefined);
        const found = reading.get(group.resultKey);
        found.then((stored) => wake(stored ?? undefined)).catch(() => {});
      }, limitMs);
    });
    this.#look(channel);
    return told.finally(() => {
      clearTimeout(timer);
      group.waiters.delete(waiter);
      if (group.waiters.size === 0 && this.#groups.delete(channel)) subscriber.unsubscribe(channel).catch(() => {});
    });
  }

  #openGroup(queue: QueueHandle, jobId: string): Group {
    const [resultKey, jobKey] = [queue.resultKey(jobId), queue.key(jobId)];
    const group = { resultKey, jobKey, waiters: new Set<Waiter>(), isReading: false, isStale: false };
    this.#groups.set(queue.resultChannel(jobId), group);
    return group;
  }

  #connect() {
    if (this.#open) return this.#open;
    const open = { reading: this.#duplicate(), subscriber: this.#duplicate() };
    this.#open = open;
    open.subscriber.on('message', (channel: string, message: string) => {
      void (message === progressMessage ? this.#readProgress(channel) : this.#read(channel));
    });
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
      () => {
        void this.#readProgress(channel);
        void this.#read(channel);
      },
      () => {},
    );
  };

  /** Reads a job's progress, if anybody wants to hear it. Never rejects. */
  async #readProgress(channel: string): Promise<void> {
    const { jobKey, waiters = new Set<Waiter>() } = this.#groups.get(channel) ?? {};
    if (jobKey === undefined || ![...waiters].some(({ onProgress }) => onProgress)) return;
    const text = await this.#connect()
      .reading.hget(jobKey, jobFields.progress)
      .catch(() => null);
    for (const { onProgress } of waiters) {
      // Each waiter gets an object of its own.
      const { value } = readJson<unknown>(text ?? undefined, undefined);
      if (value !== undefined) onProgress?.(value);
    }
  }

  /** Reads what is stored, and wakes those who wait for it. Never rejects. */
  async #read(channel: string): Promise<void> {
    const group = this.#groups.get(channel);
    if (!group) return;
    group.isStale = group.isReading;
    if (group.isReading) return;
    group.isReading = true;
    const stored = await this.#connect()
      .reading.get(group.resultKey)
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
