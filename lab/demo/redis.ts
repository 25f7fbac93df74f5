import { Redis } from 'ioredis';
import { attachDevRedis } from '../../src/tools/dev-redis/dev-redis.ts';

export interface DemoRedis {
  readonly url: string;
  readonly notice: string | undefined;
  close(): Promise<void>;
}

/** Uses the Redis of REDIS_URL, or the private one for development. */
export async function openRedis(): Promise<DemoRedis> {
  const url = process.env.REDIS_URL;
  if (url) return { url, notice: undefined, close: async () => {} };
  const lent = await attachDevRedis({ root: process.cwd(), path: process.env.PATH });
  return { url: lent.url, notice: lent.notice, close: async () => void (await lent.close()) };
}

/** Deletes every key of the prefix, so that the demo leaves nothing behind. */
export async function deleteKeys(url: string, prefix: string): Promise<void> {
  // No retries: when Redis is gone there is nothing to delete, and the demo must still end.
  const redis = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => null, lazyConnect: true });
  // Without a listener ioredis prints a failed connection itself; the call below rejects anyway.
  redis.on('error', () => {});
  try {
    await redis.connect();
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', 1000);
      if (keys.length > 0) await redis.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  } finally {
    redis.disconnect();
  }
}
