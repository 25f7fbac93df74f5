import { runGuard } from '../guard/run-guard.ts';

// This is the program of the guard's thread. The first block loads what connects to Redis.
await runGuard(async (redis) => {
  const { openLocks } = await import('../broker/guard-locks.ts');
  return openLocks(redis);
});
