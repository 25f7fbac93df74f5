import { defineHooks } from 'islet/task';

export default defineHooks(({ log }) => ({
  // TS2339: Property 'jobId' does not exist on type 'HookedJob'.
  onJobFailed: ({ jobId }, { code }) => log.error({ jobId, code }),
}));
