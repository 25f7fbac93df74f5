/**
 * Tells a running job to stop. It makes an `AbortSignal` only for those who ask for one: a signal and its listener take
 * longer than all else that a worker does for a job beside Redis, and most tasks never look at theirs.
 */
export class JobAbort {
  aborted = false;
  /** The job's outcome is made: whoever cancels the job now comes too late. */
  isDecided = false;
  /** Why the job was aborted, once it is. */
  reason: unknown;
  #controller: AbortController | undefined;
  #listener: (() => void) | undefined;

  /** This abort as a signal, for whatever takes one. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.aborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  /** Aborts the job. The first reason stands, and the job's code hears of it first. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#controller?.abort(reason);
    this.#listener?.();
  }

  /** Calls `listener` at the abort, or now if that was before. Only the last listener counts. Returns how to remove it. */
  onAbort(listener: () => void): () => void {
    if (this.aborted) listener();
    else this.#listener = listener;
    return () => {
      if (this.#listener === listener) this.#listener = undefined;
    };
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
}
