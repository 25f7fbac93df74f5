// A BullMQ worker with BullMQ's defaults and the same concurrency: Islet's crash-to-rerun is compared with this one's.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

const { REDIS_URL = '', REDIS_PREFIX = '', CHAOS_LEDGER = '.' } = process.env;
const file = join(CHAOS_LEDGER, `${process.pid}.log`);
const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
const note = (verb: string, id: string | undefined) =>
  appendFileSync(file, `${verb} ${Date.now()} ${process.pid} ${id} slow 1 \n`);

const worker = new Worker(
  '{bare}',
  async ({ id, data }) => {
    note('start', id);
    await sleep(data.ms);
    note('end', id);
  },
  { connection, prefix: REDIS_PREFIX, concurrency: 25 },
);
await worker.waitUntilReady();
console.log('Worker ready');
