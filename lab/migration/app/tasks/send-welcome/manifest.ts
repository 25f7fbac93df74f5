import { defineTask } from 'islet';
import * as v from 'valibot';
import mail from '../../queues/mail/manifest.ts';

export default defineTask({
  name: 'send-welcome',
  // What the plain producers call the job.
  formerNames: ['sendWelcome'],
  queue: mail,
  payload: v.object({ ms: v.number(), failures: v.number() }),
  attempts: 3,
  backoff: { type: 'fixed', delayMs: 50, jitter: 0 },
  retries: 'from-job',
});
