import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'render-pdf',
  queue: 'documents',
  payload: v.object({
    name: v.pipe(v.string(), v.maxLength(100), v.regex(/^[a-z0-9][a-z0-9-]*$/)),
    title: v.pipe(v.string(), v.minLength(1), v.maxLength(500)),
    paragraphs: v.array(v.string()),
  }),
  result: v.object({ file: v.string(), pages: v.number(), bytes: v.number() }),
  attempts: 3,
  backoff: { type: 'exponential', delayMs: 1_000, maxDelayMs: 60_000, jitter: 0.5 },
  timeoutMs: 60_000,
});
