import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { bullmqQueue } from '../../src/producer.ts';

/** A fresh prefix in the tests' Redis, seen as a plain BullMQ program sees it. */
export interface RedisPlace {
  readonly url: string;
  readonly prefix: string;
  /** For the environment of a process. */
  readonly env: Record<string, string>;
  queue(name: string): Queue;
  /** Closes the connections and removes all keys of the prefix. */
  close(): Promise<void>;
}

export function testRedisUrl(): string {
  const url = process.env.TEST_REDIS_URL;
  if (!url) throw new Error('TEST_REDIS_URL is not set: the tests run with the global setup of vitest.config.ts.');
  return url;
}

async function removeKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
    if (keys.length > 0) await client.unlink(...(keys as string[]));
  }
}

export function openRedisPlace(): RedisPlace {
  const url = testRedisUrl();
  const prefix = `test-${randomUUID()}`;
  const client = new Redis(url, { maxRetriesPerRequest: null });
  const queues = new Map<string, Queue>();
  return {
    url,
    prefix,
    env: { REDIS_URL: url, REDIS_PREFIX: prefix },
    queue(name) {
      const place = bullmqQueue(name, { prefix });
      const queue = queues.get(name) ?? new Queue(place.name, { prefix: place.prefix, connection: client });
      queues.set(name, queue);
      return queue;
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
      await removeKeys(client, prefix);
      client.disconnect();
    },
  };
}
