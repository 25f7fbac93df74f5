import type { StoredResult } from '../broker/broker.ts';
import type { Clock } from '../worker/clock.ts';

/** One wait for a job's result. */
interface Waiter {
  end(stored: StoredResult | undefined): void;
  onProgress: ((progress: unknown) => void) | undefined;
  fail(error: Error): void;
}

/** The results of one queue's jobs that are kept for a while, and the waits for them. */
export class MemoryResults {
  readonly #clock: Clock;
  readonly #kept = new Map<string, { stored: StoredResult; until: number }>();
  readonly #waiters = new Map<string, Set<Waiter>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keep(jobId: string, stored: StoredResult, keepMs: number | undefined): void {
    if (!keepMs) return;
    this.#kept.set(jobId, { stored, until: this.#clock.now() + keepMs });
    for (const waiter of this.#waiters.get(jobId) ?? []) waiter.end(stored);
  }

  find(jobId: string): StoredResult | undefined {
    const kept = this.#kept.get(jobId);
    return kept && kept.until > this.#clock.now() ? kept.stored : undefined;
  }

  /** Tells those who wait for a job of its progress. */
  tell(jobId: string, progress: unknown): void {
    for (const { onProgress } of this.#waiters.get(jobId) ?? []) onProgress?.(structuredClone(progress));
  }

  /** Resolves with nothing after `timeoutMs` milliseconds. */
  wait(jobId: string, timeoutMs: number, onProgress?: Waiter['onProgress']): Promise<StoredResult | undefined> {
    const kept = this.find(jobId);
    if (kept) return Promise.resolve(kept);
    const waiters = this.#waiters.get(jobId) ?? new Set();
    this.#waiters.set(jobId, waiters);
    return new Promise((resolve, reject) => {
      const stopTimer = this.#clock.startTimer(timeoutMs, () => waiter.end(undefined));
      const leave = () => {
        stopTimer();
        waiters.delete(waiter);
      };
      const waiter: Waiter = {
        onProgress,
        end(stored) {
          leave();
          resolve(stored);
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      waiters.add(waiter);
    });
  }

  /** Ends all waits. */
  close(error: Error): void {
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.fail(error);
  }
}
