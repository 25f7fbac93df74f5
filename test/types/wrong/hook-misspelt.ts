import { defineHooks } from 'islet/task';

export default defineHooks(({ log }) => ({
  onWorkerStart: ({ queues }) => log.info({ queues }, 'start'),
  // TS2322: Type '() => void' is not assignable to type '(() => void) & Refused<"there is no hook of this name">'.
  aroundJobs: () => log.info('job'),
}));
