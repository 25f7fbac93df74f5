/** Terminals and npm deliver one Ctrl-C twice: within this time, in milliseconds, a signal is the one before. */
const sameSignalMs = 1_000;

/** Remembers when a process was last asked to stop, and so knows a second request from the first one's echo. */
export class StopRequests {
  #lastAt: number | undefined;

  /** Whether the process was asked already. */
  get asked(): boolean {
    return this.#lastAt !== undefined;
  }

  /** Whether a signal that comes now is the last request once more. */
  get isEcho(): boolean {
    return this.#lastAt !== undefined && performance.now() - this.#lastAt <= sameSignalMs;
  }

  note(): void {
    this.#lastAt = performance.now();
  }
}
