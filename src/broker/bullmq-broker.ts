import { type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { LockLostError } from '../errors.ts';
import type { Broker, ConsumeOptions, Consumer, Delivery } from './broker.ts';
import { connectOnce, createClient, describeRedis } from './connection.ts';
import { readStamp } from './job-options.ts';
import { bullmqQueue } from './keys.ts';
import { createSender } from './send.ts';
import { expectRetries, settle } from './settle.ts';

/** How long the start waits for Redis before it gives up. */
const connectLimitMs = 5_000;

/** Only for a crash loop: deploys release their jobs, so a job stalls when its process died or froze. */
const maxStalledCount = 3;

function toDelivery(queue: string, job: Job): Delivery {
  return {
    queue,
    task: job.name,
    jobId: job.id ?? '',
    input: job.data,
    enqueuedAt: job.timestamp,
    attempt: job.attemptsMade + 1,
    keepResultMs: readStamp(job.opts).keepResultMs,
    abort: new AbortController(),
    reportProgress: (value) => job.updateProgress(value),
  };
}

function openWorker(client: Redis, prefix: string, options: ConsumeOptions, running: Map<string, Delivery>): Worker {
  const { queue } = options;
  const place = { prefix, queue: queue.name };
  const process = async (job: Job, token = '') => {
    expectRetries(job);
    const delivery = toDelivery(queue.name, job);
    running.set(delivery.jobId, delivery);
    try {
      return await settle(job, token, await options.run(delivery), client, place);
    } finally {
      // The lock may have been lost and the same job be running here again.
      if (running.get(delivery.jobId) === delivery) running.delete(delivery.jobId);
    }
  };
  return new Worker(bullmqQueue(queue.name).name, process, {
    connection: client,
    prefix,
    concurrency: options.concurrency,
    lockDuration: queue.lockDurationMs,
    maxStalledCount,
    drainDelay: 10,
    // No skipVersionCheck: without the version BullMQ rounds each wait for a delayed job up to whole seconds.
    removeOnComplete: { count: 0 },
    removeOnFail: { age: Math.ceil(queue.retention.failedForMs / 1_000), count: queue.retention.failedCount },
    autorun: false,
  });
}

async function consume(client: Redis, prefix: string, options: ConsumeOptions): Promise<Consumer> {
  const running = new Map<string, Delivery>();
  const worker = openWorker(client, prefix, options, running);
  worker.on('error', options.onTrouble);
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) running.get(id)?.abort.abort(new LockLostError(id));
  });
  await worker.waitUntilReady();
  worker.run().catch(options.onTrouble);
  let closing: Promise<void> | undefined;
  return {
    close() {
      closing ??= worker.close();
      return closing;
    },
  };
}

/** Connects to Redis as a worker does. Throws `E_REDIS_UNREACHABLE` or `E_REDIS_REFUSED`. */
export async function connectBroker(options: { redis: string; prefix: string }): Promise<Broker> {
  const client = createClient(options.redis, { maxRetriesPerRequest: null });
  await connectOnce(client, options.redis, connectLimitMs);
  // Without a listener ioredis prints each lost connection; BullMQ reports them through onTrouble.
  client.on('error', () => {});
  const sender = createSender(client, options.prefix);
  return {
    description: describeRedis(options.redis),
    consume: (consumeOptions) => consume(client, options.prefix, consumeOptions),
    send: (jobs) => sender.send(jobs),
    async close() {
      await sender.close();
      client.disconnect();
    },
  };
}
