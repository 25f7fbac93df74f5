import { defineQueue } from 'islet';

/** The queue that the plain producers and workers have used all along. */
export default defineQueue({
  name: 'mail',
  bullmq: { name: 'Send_Mail', prefix: 'bull' },
  concurrency: 25,
  // Every failed job is kept for the count.
  retention: { failedCount: 1_000_000 },
});
