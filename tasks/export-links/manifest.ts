import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'export-links',
  queue: 'api-scraper',
  payload: v.object({
    url: v.pipe(v.string(), v.maxLength(2_048), v.url(), v.regex(/^https?:\/\//i)),
    file: v.pipe(v.string(), v.maxLength(100), v.regex(/^[a-z0-9][a-z0-9-]*$/)),
  }),
  result: v.object({ file: v.string(), links: v.number() }),
  attempts: 3,
  backoff: { type: 'exponential', delayMs: 1_000, maxDelayMs: 60_000, jitter: 0.5 },
  timeoutMs: 60_000,
  load: 'on-first-job',
});
