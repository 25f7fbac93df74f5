import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for the work, but no longer than `ms` milliseconds. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: over.signal })]).finally(() => over.abort());
}
