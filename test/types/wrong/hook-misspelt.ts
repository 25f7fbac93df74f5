import { defineHooks } from 'islet/task';

export default defineHooks(({ log }) => ({
  onWorkerStart: ({ queues }) => log.info({ queues }, 'start'),
  // TS2322: X
  aroundJobs: () => log.info('job'),
}));
