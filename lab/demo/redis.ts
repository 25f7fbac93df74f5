import type { Redis } from 'ioredis';
import { attachDevRedis } from '../../src/tools/dev-redis/dev-redis.ts';
import { askRedis } from '../kit/redis.ts';

export interface DemoRedis {
  readonly url: string;
  readonly notice: string | undefined;
  close(): Promise<void>;
}

/** Uses the Redis of REDIS_URL, or the private one for development. */
export async function openRedis(): Promise<DemoRedis> {
  const url = process.env.REDIS_URL;
  if (url) return { url, notice: undefined, close: async () => {} };
  return attachDevRedis({ root: process.cwd(), path: process.env.PATH });
}

/** Deletes every key of the prefix, so that the demo leaves nothing behind. */
export async function deleteKeys(url: string, prefix: string): Promise<void> {
  const deleteAll = async (client: Redis) => {
    let cursor = '0';
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', 1000);
      if (keys.length > 0) await client.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  };
  // When Redis is gone there is nothing to delete, and the demo must still end.
  await askRedis(url, deleteAll, { reconnects: 0 });
}
