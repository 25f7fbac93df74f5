import type { HeldLock } from './guard-table.ts';

/** What the guard says to Redis while the event loop is blocked. */
export interface GuardLocks {
  /** Extends those of the locks that this process still holds. Throws what Redis said, as an error of Islet's. */
  extend(locks: readonly HeldLock[]): Promise<void>;
  /** Notes that this job ends its worker, for whoever recovers the worker's jobs. */
  blame(lock: HeldLock): Promise<void>;
  /** Notes that the worker of these locks was told to stop, so that it is no crash that its jobs are left. */
  sayStopping(locks: readonly HeldLock[]): Promise<void>;
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
    const connected = await this.#open().catch((error: Error) => {
      this.#locks = undefined;
      this.#fail(error);
    });
    await connected?.extend(held).catch((error) => this.#fail(error));
    this.#busy = false;
  }

  async blame(lock: HeldLock): Promise<void> {
    await (await this.#open()).blame(lock).catch((error) => this.#fail(error));
  }

  async sayStopping(held: readonly HeldLock[]): Promise<void> {
    await (await this.#open()).sayStopping(held).catch((error) => this.#fail(error));
  }

  close(): void {
    this.#locks?.then((connected) => connected.close()).catch(() => {});
  }

  #open(): Promise<GuardLocks> {
    this.#locks ??= this.#connect();
    return this.#locks;
  }

  #fail(error: Error): void {
    if (!this.#failed) this.#onFailure(error.message);
    this.#failed = true;
  }
}
