import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'make-thumbnail',
  queue: 'images',
  payload: v.object({
    source: v.pipe(v.string(), v.minLength(1)),
    name: v.pipe(v.string(), v.maxLength(100), v.regex(/^[a-z0-9][a-z0-9-]*$/)),
    width: v.pipe(v.number(), v.integer(), v.minValue(16), v.maxValue(2_000)),
  }),
  result: v.object({ file: v.string(), width: v.number(), height: v.number(), bytes: v.number() }),
  attempts: 3,
  backoff: { type: 'exponential', delayMs: 1_000, maxDelayMs: 60_000, jitter: 0.5 },
  timeoutMs: 60_000,
  pool: 'process', // a picture that breaks the native decoder breaks one job, not the worker
});
