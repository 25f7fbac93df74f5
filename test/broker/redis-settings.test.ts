import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { hidePasswords } from '../../src/errors.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts';

let redis: PrivateRedis;

beforeEach(async () => {
  redis = await startPrivateRedis();
});

afterEach(() => redis.close());

const evicts = 'Redis has maxmemory-policy "allkeys-lru": it drops jobs when it is full.';
const forgets = 'Redis does not persist (appendonly no, no save): all jobs are lost when it restarts.';
const hides = 'Redis hides its settings (CONFIG): make sure that maxmemory-policy is noeviction and that it persists.';

const set = (name: string, value: string) => redis.server.ask((client) => client.config('SET', name, value));

/** Connects as a worker does, and returns what it has to tell. */
async function notices({ url = redis.server.url, allowEviction = false, mayForget = false } = {}): Promise<string[]> {
  const told: string[] = [];
  const onNotice = (notice: string) => told.push(notice);
  const broker = await connectBroker({ redis: url, prefix: 'test', allowEviction, mayForget, onNotice });
  await broker.close();
  return told;
}

test('says nothing of a Redis that keeps what it is given', async () => {
  expect(await notices()).toEqual([]);
});

test('refuses a Redis that evicts', async () => {
  await set('maxmemory-policy', 'allkeys-lru');
  const what = `Redis at ${hidePasswords(redis.server.url)} has maxmemory-policy "allkeys-lru"`;
  await expect(notices()).rejects.toMatchObject({
    code: 'E_REDIS_EVICTS',
    message: `${what}: it drops jobs when it is full. Set it to noeviction, or start with --allow-eviction.`,
  });
});

test('gives one notice of a Redis that evicts, when that is allowed', async () => {
  await set('maxmemory-policy', 'allkeys-lru');
  expect(await notices({ allowEviction: true })).toEqual([evicts]);
});

test('gives one notice of a Redis that does not persist', async () => {
  await set('appendonly', 'no');
  expect(await notices()).toEqual([forgets]);
  expect(await notices({ mayForget: true })).toEqual([]);
});

test('gives no notice of a Redis that persists by snapshots only', async () => {
  await set('appendonly', 'no');
  await set('save', '900 1');
  expect(await notices()).toEqual([]);
});

test('gives one notice of a Redis that hides its settings', async () => {
  const rights = ['on', '>secret', '~*', '&*', '+@all', '-config'];
  await redis.server.ask((client) => client.call('ACL', 'SETUSER', 'worker', ...rights));
  const url = redis.server.url.replace(/\/\/.*@/, '//worker:secret@');
  expect(await notices({ url })).toEqual([hides]);
});
