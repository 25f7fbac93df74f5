import type { StoredResult } from '../broker/broker.ts';
import type { Clock } from '../worker/clock.ts';

/** One wait for a job's result. */
interface Waiter {
  end(stored: StoredResult | undefined): void;
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

  /** Resolves with nothing after `timeoutMs` milliseconds. */
  wait(jobId: string, timeoutMs: number): Promise<StoredResult | undefined> {
    const kept = this.#kept.get(jobId);
    if (kept && kept.until > this.#clock.now()) return Promise.resolve(kept.stored);
    const waiters = this.#waiters.get(jobId) ?? new Set();
    this.#waiters.set(jobId, waiters);
    return new Promise((resolve, reject) => {
      const stopTimer = this.#clock.startTimer(timeoutMs, () => waiter.end(undefined));
      const leave = () => {
        stopTimer();
        waiters.delete(waiter);
      };
      const waiter: Waiter = {
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
