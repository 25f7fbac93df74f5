import type { HeldLock } from './guard-table.ts';

/** What the guard says to Redis while the event loop is blocked. */
export interface GuardLocks {
  /** Extends those of the locks that this process still holds. Throws what Redis said, as an error of Islet's. */
  extend(locks: readonly HeldLock[]): Promise<void>;
  /** Notes that a lock's job, the `culprit`, ends its worker, or that the locks' worker was told to stop. */
  note(what: 'culprit' | 'stopping', locks: readonly HeldLock[]): Promise<void>;
  close(): void;
}

/** Connects to the Redis at a URL, for the time of one block. */
export type OpenLocks = (redis: string) => Promise<GuardLocks>;

/** Keeps the locks of one block. The first call connects; after a connection that failed, the next call tries again. */
export class BlockLocks {
  readonly #connect: () => Promise<GuardLocks>;
  readonly #onFailure: (reason: string) => void;
  #locks: Promise<GuardLocks> | undefined;
  #dueAt = 0;
  #busy = false;
  #failed = false;

  /** `onFailure` is called once, with what Redis said first. */
  constructor(connect: () => Promise<GuardLocks>, onFailure: (reason: string) => void) {
    this.#connect = connect;
    this.#onFailure = onFailure;
  }

  /** Extends the locks, at most every `everyMs` milliseconds. */
  async keep(held: readonly HeldLock[], everyMs: number): Promise<void> {
    if (this.#busy || performance.now() < this.#dueAt) return;
    this.#busy = true;
    this.#dueAt = performance.now() + everyMs;
    await this.#ask((locks) => locks.extend(held));
    this.#busy = false;
  }

  note(...what: Parameters<GuardLocks['note']>): Promise<void> {
    return this.#ask((locks) => locks.note(...what));
  }

  close(): void {
    this.#locks?.then((connected) => connected.close()).catch(() => {});
  }

  /** Never rejects. */
  async #ask(question: (locks: GuardLocks) => Promise<void>): Promise<void> {
    this.#locks ??= this.#connect().catch((error) => {
      this.#locks = undefined;
      throw error;
    });
    await this.#locks.then(question).catch((error: Error) => {
      if (!this.#failed) this.#onFailure(error.message);
      this.#failed = true;
    });
  }
}
