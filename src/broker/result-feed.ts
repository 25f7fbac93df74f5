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
  /** The progress that it was told last, as it is stored. */
  told?: string;
}

/** Whether something is being read for a group. */
interface Reading {
  isReading: boolean;
  /** There was a message during a read, which may have come too early for it. */
  isStale: boolean;
}

/** Those who wait for the result of one job. */
interface Group {
  readonly resultKey: string;
  readonly jobKey: string;
  readonly waiters: Set<Waiter>;
  readonly result: Reading;
  readonly progress: Reading;
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
    const [result, progress] = [1, 2].map(() => ({ isReading: false, isStale: false })) as [Reading, Reading];
    const group = { resultKey, jobKey, waiters: new Set<Waiter>(), result, progress };
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
  #readProgress(channel: string): Promise<void> {
    const group = this.#groups.get(channel);
    if (!group || ![...group.waiters].some(({ onProgress }) => onProgress)) return Promise.resolve();
    return readOnce(group.progress, async () => {
      const text = await this.#connect()
        .reading.hget(group.jobKey, jobFields.progress)
        .catch(() => null);
      if (text !== null) for (const waiter of group.waiters) tellProgress(waiter, text);
    });
  }

  /** Reads what is stored, and wakes those who wait for it. Never rejects. */
  #read(channel: string): Promise<void> {
    const group = this.#groups.get(channel);
    if (!group) return Promise.resolve();
    return readOnce(group.result, async () => {
      const stored = await this.#connect()
        .reading.get(group.resultKey)
        .catch(() => null);
      if (stored !== null) for (const { wake } of group.waiters) wake(stored);
    });
  }

  close(error: IsletError): void {
    for (const { waiters } of this.#groups.values()) for (const { fail } of waiters) fail(error);
    this.#open?.reading.disconnect();
    this.#open?.subscriber.disconnect();
  }
}

/** Reads, and reads again if that was asked for meanwhile: however many ask, two reads are enough. */
async function readOnce(reading: Reading, read: () => Promise<void>): Promise<void> {
  reading.isStale = reading.isReading;
  if (reading.isReading) return;
  reading.isReading = true;
  await read();
  reading.isReading = false;
  if (reading.isStale) await readOnce(reading, read);
}

/** Tells a waiter of a progress that is new to it. Each gets an object of its own. */
function tellProgress(waiter: Waiter, text: string): void {
  if (!waiter.onProgress || text === waiter.told) return;
  waiter.told = text;
  const { value } = readJson<unknown>(text, undefined);
  if (value !== undefined) waiter.onProgress(value);
}
