import { workerData } from 'node:worker_threads';
import type { GuardThreadData } from '../guard/guard.ts';
import { runGuard } from '../guard/run-guard.ts';

// This is the program of the guard's thread. The first block loads what connects to Redis.
await runGuard(workerData as GuardThreadData, async (redis) => {
  const { openLocks } = await import('./guard-locks.ts');
  return openLocks(redis);
});
