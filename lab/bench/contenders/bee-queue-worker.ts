import { callApi } from '../app/tasks/call/call-api.ts';
import type { BeeQueueModule } from './bee-queue.ts';
import { importFrom } from './install.ts';

const { REDIS_URL: url = '', CONCURRENCY, MODULES = '' } = process.env;
const { default: Queue } = await importFrom<BeeQueueModule>(MODULES, 'bee-queue/index.js');
const queue = new Queue('bench', { redis: { url } });
queue.process(Number(CONCURRENCY), async ({ data }) => {
  if (data.name === 'call') await callApi(data.url);
});
process.on('SIGTERM', async () => {
  await queue.close();
  process.exit();
});
await queue.ready();
console.log('ready');
