import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { connectOnce, createClient } from '../../src/broker/connection.ts';
import manifest from '../fixtures/outage/queues/outage/manifest.ts';
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

test('a client does not subscribe again by itself, since nobody would hear that this failed', async () => {
  const client = createClient(redis.server.url, {});
  await client.connect();
  await client.subscribe('news');
  client.disconnect(true);
  await once(client, 'ready');
  // All that a client says by itself has been sent before this.
  await client.ping();
  const asker = createClient(redis.server.url, {});
  expect(await asker.pubsub('NUMSUB', 'news')).toEqual(['news', 0]);
  for (const one of [client, asker]) one.disconnect();
});

test('a worker that cannot open its last connection leaves none that is tried again and again', async () => {
  const { hostname, port: redisPort, password } = new URL(redis.server.url);
  let taken = 0;
  const server = createServer((near) => {
    taken += 1;
    const far = dial(Number(redisPort), hostname);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => {}).on('close', () => near.destroy() && far.destroy());
    // After the connections for commands and for what is told, the next one is refused.
    if (taken === 2) server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const broker = await connectBroker({ redis: `redis://:${password}@127.0.0.1:${port}`, prefix: 'test' });
  const nothing = { onTrouble() {}, onRecovered() {}, onDead() {} };
  const run = async () => ({ kind: 'released', counted: false }) as const;
  const consumed = broker.consume({ queue: manifest, concurrency: 1, run, ...nothing });
  await expect(consumed).rejects.toMatchObject({ code: 'E_REDIS_UNREACHABLE' });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  // It would be tried once in 100 ms, at first.
  await sleep(500);
  expect(taken).toBe(2);
  await broker.close();
  server.close();
});
