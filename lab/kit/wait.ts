import { setTimeout as sleep } from 'node:timers/promises';

export interface Patience {
  readonly everyMs: number;
  readonly limitMs: number;
  readonly halted?: AbortSignal;
}

/**
 * Asks again and again until the answer is yes, and resolves with true then, or with false when the limit has passed.
 * Throws the reason of the signal once that is aborted.
 */
export async function until(
  isDone: () => boolean | Promise<boolean>,
  { everyMs, limitMs, halted }: Patience,
): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (!(await isDone())) {
    halted?.throwIfAborted();
    if (performance.now() > deadline) return false;
    await sleep(everyMs);
  }
  return true;
}

/** Says whether the promise is fulfilled within the limit. Throws what the promise is rejected with. */
export async function settlesWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  return Promise.race([promise.then(() => true), late]).finally(() => clearTimeout(timer));
}
