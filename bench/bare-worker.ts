// What Islet is measured against: a BullMQ worker with BullMQ's defaults and the same concurrency.
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

const { REDIS_URL = '', REDIS_PREFIX = '', LOG_JOBS } = process.env;
const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
const worker = new Worker('{noop}', async () => {}, { connection, prefix: REDIS_PREFIX, concurrency: 100 });

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
