import { defineTask } from 'islet';
import { payload } from '../../../../hostile/payload.ts';
import { redactedFields } from '../../../../hostile/recipe.ts';

export default defineTask({
  name: 'hostile-async',
  queue: 'chaos',
  payload,
  attempts: 2,
  backoff: { type: 'fixed', delayMs: 200, jitter: 0 },
  timeoutMs: 1_000,
  abandonAfterMs: 100,
  redact: redactedFields,
});
