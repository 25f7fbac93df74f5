// A BullMQ worker with BullMQ's defaults, the same handler and the same concurrency: Islet is measured against this one.
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { callApi } from '../app/tasks/call/call-api.ts';

const { REDIS_URL = '', CONCURRENCY, LOG_JOBS } = process.env;
const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
const worker = new Worker(
  '{bench}',
  async ({ name, data }) => {
    if (name === 'call') await callApi(data.url);
  },
  { connection, prefix: 'bare', concurrency: Number(CONCURRENCY) },
);

if (LOG_JOBS) {
  const { pino } = await import('pino');
  const log = pino();
  worker.on('completed', (job) => log.info({ task: job.name, jobId: job.id }, 'Job finished'));
}
process.on('SIGTERM', async () => {
  await worker.close();
  connection.disconnect();
});
await worker.waitUntilReady();
console.log('ready');
