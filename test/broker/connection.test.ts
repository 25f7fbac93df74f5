import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connectOnce, createClient } from '../../src/broker/connection.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts';

let redis: PrivateRedis;

beforeEach(async () => {
  redis = await startPrivateRedis();
});

afterEach(() => redis.close());

test('a start waits for a Redis that loads its data, and says what it waits for when that lasts too long', async () => {
  const loaded = redis.loadAgain();
  const connect = (limitMs: number) => {
    const client = createClient(redis.server.url, {});
    return connectOnce(client, redis.server.url, limitMs).finally(() => client.disconnect());
  };
  const late = { code: 'E_REDIS_NOT_READY', message: expect.stringContaining('LOADING') };
  await vi.waitFor(() => expect(connect(300)).rejects.toMatchObject(late), { timeout: 5_000, interval: 20 });
  await connect(5_000);
  await loaded;
});
