import { defineTask } from 'islet';
import * as v from 'valibot';
import { failingAttempts } from '../../../limits.ts';

export default defineTask({
  name: 'failing',
  queue: 'chaos',
  payload: v.object({ ms: v.number(), failures: v.number() }),
  attempts: failingAttempts,
  backoff: { type: 'fixed', delayMs: 200, jitter: 0 },
});
