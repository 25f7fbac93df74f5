import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'scrape-page',
  queue: 'api-scraper',
  payload: v.object({ url: v.pipe(v.string(), v.maxLength(2_048), v.url(), v.regex(/^https?:\/\//i)) }),
  result: v.object({
    url: v.string(),
    status: v.number(),
    title: v.string(),
    links: v.array(v.string()),
    textLength: v.number(),
  }),
  attempts: 3,
  backoff: { type: 'exponential', delayMs: 1_000, maxDelayMs: 60_000, jitter: 0.5 },
  timeoutMs: 30_000,
});
