import { workerData } from 'node:worker_threads';
import type { GuardThreadData } from '../guard/guard-settings.ts';
import { runGuard } from '../guard/run-guard.ts';

// The program of the guard's thread. What connects to Redis is loaded at the first block.
await runGuard(workerData as GuardThreadData, async (redis) => {
  const { openLocks } = await import('./guard-locks.ts');
  return openLocks(redis);
});
