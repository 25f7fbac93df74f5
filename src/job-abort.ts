/**
 * What tells a running job to stop. It makes an `AbortSignal` only for those who ask for one: a signal and a listener of it
 * take longer than all else that a worker does for a job beside Redis, and most tasks never look at theirs.
 */
export class JobAbort {
  #aborted = false;
  #reason: unknown;
  #controller: AbortController | undefined;
  #listener: (() => void) | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  /** Why, once it is aborted. */
  get reason(): unknown {
    return this.#reason;
  }

  /** The same as a signal, for whatever takes one. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Aborts; the first reason stands. The job's code hears of it first. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#listener?.();
  }

  /** Calls `listener` when it is aborted, or now if it is; there is one, the last. Returns how to stop that. */
  onAbort(listener: () => void): () => void {
    if (this.#aborted) {
      listener();
      return () => {};
    }
    this.#listener = listener;
    return () => {
      if (this.#listener === listener) this.#listener = undefined;
    };
  }

  /** Throws the reason when it is aborted. */
  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }
}
