import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { isConnectionLoss } from './connection.ts';

/** The longest wait. It is what the other workers lose by a mark that a dying one took with it. */
export const mostWaitSeconds = 10;
/** The shortest wait: Redis rounds shorter ones down to none, or, before 7.0.8, to for ever. */
const leastWaitSeconds = 0.01;
/** How long after its time, in milliseconds, a wait without an answer counts as lost, together with its connection. */
const lateMs = 2_000;
/** The longest wait after one that was not answered: Redis may still give the next mark to that one. */
const waryWaitSeconds = 1;
const longestTimerMs = 2 ** 31 - 1;

/**
 * Keeps a worker from fetching: while the queue is empty or limited, after a refusal, while a job runs alone, and from
 * the stop on.
 */
export class JobWait {
  readonly #blocking: Redis;
  readonly #markerKey: string;
  readonly #onRefused: (error: unknown) => void;
  /** When the loop that fetches went on last, by performance.now(). */
  movedAt = performance.now();
  isIsolated = false;
  isStopped = false;
  /** No job is asked for until this time of performance.now(). */
  #restUntil = 0;
  /** A wait was given up, and a mark may be lost with it: the queue is asked before the next wait. */
  isDoubtful = false;
  /** Until this time of performance.now(), Redis may give a mark to a wait that was not answered. */
  #waryUntil = 0;
  #resting = new AbortController();
  #endWait = () => {};

  constructor(blocking: Redis, markerKey: string, onRefused: (error: unknown) => void) {
    this.#blocking = blocking;
    this.#markerKey = markerKey;
    this.#onRefused = onRefused;
  }

  moved(): void {
    this.movedAt = performance.now();
  }

  get isOver(): boolean {
    return !this.isStopped && !this.isIsolated && performance.now() >= this.#restUntil;
  }

  restFor(ms: number): void {
    this.#restUntil = performance.now() + ms;
  }

  /** Waits for a mark, for at most so many seconds; `null` says that it is time to ask. Never rejects. */
  async forMark(seconds: number): Promise<{ member: string; score: number } | null> {
    if ((await this.#rest()) || this.isDoubtful || this.isStopped) return null;
    const most = performance.now() < this.#waryUntil ? waryWaitSeconds : mostWaitSeconds;
    const wait = Math.min(Math.max(seconds, leastWaitSeconds), most);
    const over = new AbortController();
    this.#endWait = () => over.abort();
    const late = sleep(wait * 1_000 + lateMs, undefined, { signal: over.signal }).catch(() => undefined);
    const waiting = this.#blocking.bzpopmin(this.#markerKey, wait);
    waiting.catch(() => {});
    try {
      const mark = await Promise.race([waiting, late]);
      if (mark !== undefined) return mark && { member: mark[1], score: Number(mark[2]) };
      // A connection that died unnoticed never answers, and ioredis waits on.
      if (!over.signal.aborted) this.interrupt();
    } catch (error) {
      if (!isConnectionLoss(error)) this.#onRefused(error);
    } finally {
      over.abort();
      this.moved();
    }
    this.isDoubtful = true;
    this.#waryUntil = performance.now() + mostWaitSeconds * 1_000;
    return null;
  }

  /** Waits while no job may be asked for, and returns whether that was so. */
  async #rest(): Promise<boolean> {
    let rested = false;
    while (!this.isStopped && !this.isOver) {
      rested = true;
      const leftMs = this.isIsolated ? longestTimerMs : this.#restUntil - performance.now();
      await sleep(leftMs, undefined, { signal: this.#resting.signal }).catch(() => {});
    }
    return rested;
  }

  #endRest(): void {
    this.#resting.abort();
    this.#resting = new AbortController();
  }

  rejoin(): void {
    this.isIsolated = false;
    this.#endRest();
    this.moved();
  }

  stop(): void {
    this.isStopped = true;
    this.#endRest();
    this.interrupt();
  }

  /** Gives up a wait, also one that would never end. */
  interrupt(): void {
    this.isDoubtful = true;
    // ioredis lets commands wait while a connection is opened again.
    this.#endWait();
    this.#blocking.disconnect(!this.isStopped);
  }
}
