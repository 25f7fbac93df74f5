import { defineQueue } from 'islet';

/** All times are short, so that each of them runs out several times in a run. Every failed job is kept for the count. */
export default defineQueue({
  name: 'chaos',
  concurrency: 25,
  lockDurationMs: 5_000,
  stalledCheckMs: 2_000,
  retention: { failedCount: 1_000_000 },
});
