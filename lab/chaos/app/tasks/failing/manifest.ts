import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'failing',
  queue: 'chaos',
  payload: v.object({ ms: v.number(), failures: v.number() }),
  attempts: 3,
  backoff: { type: 'fixed', delayMs: 200, jitter: 0 },
});
