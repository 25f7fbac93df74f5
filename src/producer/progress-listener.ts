import { inspect } from 'node:util';
import type { StoredResult } from '../broker/broker.ts';

/** Shows what was thrown, which may refuse to be looked at. */
function show(error: unknown): string {
  try {
    return inspect(error);
  } catch {
    return `a value (${typeof error}) that cannot be shown`;
  }
}

/** Hears a job's progress for one wait, and calls back with what is new. */
export class ProgressListener {
  readonly #jobId: string;
  readonly #onProgress: (progress: unknown) => unknown;
  #last: string | undefined;
  #isOver = false;

  constructor(jobId: string, onProgress: (progress: unknown) => unknown) {
    this.#jobId = jobId;
    this.#onProgress = onProgress;
  }

  /** Takes any progress, also one that is known, or that comes after the end. Never throws. */
  readonly hear = (progress: unknown): void => {
    const text = JSON.stringify(progress);
    if (this.#isOver || text === this.#last) return;
    this.#last = text;
    void this.#call(progress);
  };

  async #call(progress: unknown): Promise<void> {
    try {
      await this.#onProgress(progress);
    } catch (error) {
      const seen = `onProgress of job "${this.#jobId}" threw, and the wait for the result goes on: ${show(error)}`;
      process.emitWarning(seen, { type: 'IsletWarning', code: 'ISLET_ON_PROGRESS' });
    }
  }

  end(): void {
    this.#isOver = true;
  }
}

/** Waits for a stored result, and calls back with each new progress until then. */
export async function listenDuring(
  jobId: string,
  wait: (hear: ProgressListener['hear']) => Promise<StoredResult | undefined>,
  onProgress: (progress: unknown) => unknown,
): Promise<StoredResult | undefined> {
  const listener = new ProgressListener(jobId, onProgress);
  try {
    const stored = await wait(listener.hear);
    // The job may have been removed before its last progress was read.
    if (stored?.progress !== undefined) listener.hear(stored.progress);
    return stored;
  } finally {
    listener.end();
  }
}
