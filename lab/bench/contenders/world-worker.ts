// The worker that imports whatever any task needs, and runs one job at a time.
import { fileURLToPath } from 'node:url';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

const { REDIS_URL = '', WORLD_PARENT } = process.env;
const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
// With WORLD_PARENT, BullMQ runs the job in a child process of its own, as Celery's prefork does.
const processor = WORLD_PARENT
  ? fileURLToPath(new URL('./world-processor.js', import.meta.url))
  : (await import('./world-processor.ts')).default;
const worker = new Worker('world', processor, { connection, concurrency: 1 });
process.on('SIGTERM', async () => {
  await worker.close();
  connection.disconnect();
});
await worker.waitUntilReady();
console.log('ready');
