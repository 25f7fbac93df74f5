import { defineQueue } from 'islet';

/** Short times, so that every one of them runs out several times in a run; every failed job is kept for the count. */
export default defineQueue({
  name: 'chaos',
  concurrency: 25,
  lockDurationMs: 5_000,
  stalledCheckMs: 2_000,
  retention: { failedCount: 1_000_000 },
});
