import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { workerClientName } from '../../src/broker/bullmq-internals.ts';
import { metaFields } from '../../src/broker/bullmq-names.ts';
import { channelOf, placeOf, queuesKey } from '../../src/broker/keys.ts';
import { runScript } from '../../src/broker/lua.ts';
import { limitQueue } from '../../src/broker/scripts.ts';
import { Sender } from '../../src/broker/send.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { createProducer, type Producer } from '../../src/producer.ts';
import { startPrivateRedis } from '../support/private-redis.ts';
import { monitorRedis } from '../support/redis-monitor.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const url = process.env.TEST_REDIS_URL ?? '';
const sendEmail = defineTask({
  name: 'send-email',
  queue: 'mail',
  payload: v.object({
    to: v.string(),
    at: v.optional(
      v.pipe(
        v.string(),
        v.transform((text) => new Date(text)),
      ),
    ),
  }),
  redact: ['to'],
});
const charge = defineTask({
  name: 'charge',
  queue: 'money',
  payload: v.pipeAsync(
    v.object({ cents: v.number() }),
    v.checkAsync(async ({ cents }) => cents > 0, 'cents must be above 0'),
  ),
  priority: 100,
  keepResultMs: 5_000,
});

let prefix: string;
let producer: Producer;
let redis: Redis;

beforeEach(() => {
  prefix = `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
  producer = createProducer({ redis: url, prefix });
  redis = new Redis(url);
});

afterEach(async () => {
  await producer.close();
  const keys = await redis.keys(`${prefix}:*`);
  if (keys.length > 0) await redis.unlink(...keys);
  redis.disconnect();
});

const jobKey = (queue: string, id: string) => `${prefix}:{${queue}}:${id}`;

describe('enqueue', () => {
  test('sends the input of the schema, not its output', async () => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a@b', at: '2026-01-01' });
    expect(JSON.parse((await redis.hget(jobKey('mail', id), 'data')) ?? '')).toEqual({ to: 'a@b', at: '2026-01-01' });
  });

  test('makes ids ordered by time, without a colon, never an integer', async () => {
    const handles = await producer.enqueueMany(
      sendEmail,
      Array.from({ length: 1_200 }, () => ({ payload: { to: 'x' } })),
    );
    const ids = handles.map(({ id }) => id);
    expect(ids).toEqual([...ids].sort());
    expect(new Set(ids).size).toBe(1_200);
    expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id))).toBe(true);
    expect(await producer.counts('mail')).toMatchObject({ waiting: 1_200 });
  });

  test('refuses a payload that fails its schema, and enqueues nothing', async () => {
    await expect(producer.enqueue(sendEmail, { to: 42 } as never)).rejects.toMatchObject({ code: 'E_PAYLOAD_INVALID' });
    await expect(producer.enqueue(charge, { cents: 'a' } as never)).rejects.toThrow(
      '`cents`: Invalid type: Expected number',
    );
    await expect(producer.enqueue(charge, { cents: -1 })).rejects.toThrow('cents must be above 0');
    expect(await redis.keys(`${prefix}:*`)).toEqual([]);
  });

  test('never shows the value of a redacted field', async () => {
    const failure = producer.enqueue(sendEmail, { to: ['hunter2'] } as never);
    await expect(failure).rejects.not.toThrow('hunter2');
    await expect(failure).rejects.toThrow('`to` is not valid, got a object (redacted)');
  });

  test('checks all items of a bulk before the first is sent', async () => {
    const items = [{ payload: { to: 'a' } }, { payload: { to: 1 } as never }];
    await expect(producer.enqueueMany(sendEmail, items)).rejects.toMatchObject({ code: 'E_PAYLOAD_INVALID' });
    expect(await producer.counts('mail')).toMatchObject({ waiting: 0 });
  });

  test('refuses a payload over the limit or beyond JSON', async () => {
    await expect(producer.enqueue(sendEmail, { to: 'x'.repeat(262_144) })).rejects.toThrow('the limit is 262144');
    await expect(producer.enqueue(sendEmail, { to: 1n } as never)).rejects.toThrow(
      'cannot travel as JSON: value.to is a bigint',
    );
  });

  test.each(['a:b', '17', '-4', '', 'a b', 'x'.repeat(201)])('refuses the id "%s"', async (id) => {
    await expect(producer.enqueue(sendEmail, { to: 'a' }, { id })).rejects.toMatchObject({
      code: 'E_ENQUEUE_OPTIONS_INVALID',
    });
  });

  test('refuses a priority where the queue has none', async () => {
    const failure = producer.enqueue(sendEmail, { to: 'a' }, { priority: 1 } as never);
    await expect(failure).rejects.toThrow('Task "send-email" has no priority, got priority 1');
  });

  test('gives each job of a queue with priorities one', async () => {
    const { id } = await producer.enqueue(charge, { cents: 5 });
    expect(await redis.hget(jobKey('money', id), 'priority')).toBe('100');
  });

  test.each(['wait', 'meta', 'stalled-check', 'waiting-children', 'de'])(
    'refuses the id "%s", which is a key of BullMQ',
    async (id) => {
      await expect(producer.enqueue(sendEmail, { to: 'a' }, { id })).rejects.toThrow(
        `An option of enqueue does not parse: \`id\`: expected a string of 1 to 200 characters without ':' and white ` +
          `space that is neither an integer nor a key of BullMQ's own, got "${id}". ` +
          'Nothing was enqueued for task "send-email".',
      );
    },
  );

  test('enters each queue where a job is looked for, once', async () => {
    await producer.enqueue(sendEmail, { to: 'a' });
    await producer.enqueue(charge, { cents: 1 });
    expect((await redis.smembers(queuesKey(prefix))).sort()).toEqual(['mail', 'money']);
    await redis.del(queuesKey(prefix));
    await producer.enqueue(sendEmail, { to: 'b' });
    expect(await redis.exists(queuesKey(prefix))).toBe(0);
  });
});

describe('an id of its own', () => {
  const enqueue = (id: string, idempotencyMs?: number) =>
    producer.enqueue(sendEmail, { to: 'a' }, { id, idempotencyMs });

  test('stands for its job for a day', async () => {
    await enqueue('welcome');
    const left = await redis.pttl(jobKey('mail', 'de:welcome'));
    expect(left).toBeGreaterThan(86_390_000);
    expect(left).toBeLessThanOrEqual(86_400_000);
  });

  test('costs a generated id no question', async () => {
    await producer.enqueue(sendEmail, { to: 'a' });
    const seen: string[] = [];
    const endMonitor = await monitorRedis(url, ({ source, name, args }) => {
      if (source !== 'lua' && args.some((arg) => arg.includes(prefix))) seen.push(name);
    });
    await producer.enqueue(sendEmail, { to: 'b' });
    await enqueue('mine');
    await vi.waitFor(() => expect(seen).toEqual(['evalsha', 'exists', 'hget', 'get', 'evalsha', 'set']));
    endMonitor();
  });
});

describe('a dedupe key', () => {
  type Mode = { mode: 'simple' } | { mode: 'throttle' | 'debounce'; ttlMs: number };
  const enqueue = (mode: Mode, to = 'a', delayMs?: number) =>
    producer.enqueue(sendEmail, { to }, { dedupe: { key: 'user:1', ...mode } as never, delayMs });

  test('of mode "debounce" replaces the job that is still delayed, and starts anew', async () => {
    const mode = { mode: 'debounce', ttlMs: 60_000 } as const;
    const first = await enqueue(mode, 'old', 60_000);
    await redis.pexpire(jobKey('mail', 'de:send-email:user:1'), 30_000);
    const second = await enqueue(mode, 'new', 60_000);
    expect(second).toMatchObject({ accepted: true });
    expect(second.id).not.toBe(first.id);
    expect(await redis.zrange(jobKey('mail', 'delayed'), '0', '-1')).toEqual([second.id]);
    expect(await redis.hget(jobKey('mail', second.id), 'data')).toBe('{"to":"new"}');
    expect(await redis.pttl(jobKey('mail', 'de:send-email:user:1'))).toBeGreaterThan(50_000);
  });

  test('gives the result of the job that stands for it', async () => {
    const dedupe = { key: 'a', mode: 'simple' } as const;
    const first = await producer.enqueue(charge, { cents: 1 }, { dedupe });
    const second = await producer.enqueue(charge, { cents: 1 }, { dedupe });
    await redis.set(jobKey('money', `result:${first.id}`), '{"task":"charge","ok":true,"result":7}');
    expect(await second.result()).toBe(7);
  });
});

describe('a chunk that Redis took in part', () => {
  const items = ['first', 'bad', 'last'].map((id) => ({ id, payload: { to: 'a' } }));

  beforeEach(async () => {
    await redis.set(jobKey('mail', 'bad'), 'not a hash');
  });

  test('names what is in and what is not confirmed', async () => {
    await expect(producer.enqueueMany(sendEmail, items)).rejects.toMatchObject({
      name: 'EnqueueError',
      jobs: { accepted: ['first', 'last'], refused: ['bad'], uncertain: [], notSent: [] },
      code: 'E_REDIS_REFUSED',
      message: expect.stringMatching(
        /^Of 3 jobs, 2 are in, 1 were refused, 0 may be in, 0 were not sent: .*WRONGTYPE.* the same ids/,
      ),
    });
    expect(await producer.counts('mail')).toMatchObject({ waiting: 2 });
  });

  test('is the last that is sent', async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => ({ id: `n-${index}`, payload: { to: 'a' } }));
    const failure = await producer.enqueueMany(sendEmail, [...items, ...many]).catch((error) => error);
    expect(failure.jobs.accepted).toHaveLength(499);
    expect(failure.jobs).toMatchObject({ refused: ['bad'], uncertain: [] });
    expect(failure.jobs.notSent).toEqual(many.slice(497).map(({ id }) => id));
  });

  test('is told of one job by its own error', async () => {
    await expect(producer.enqueue(sendEmail, { to: 'a' }, { id: 'bad' })).rejects.toMatchObject({
      code: 'E_REDIS_REFUSED',
      message: expect.stringContaining('WRONGTYPE'),
    });
  });

  test('ends a send of a task with all ids that were not confirmed', async () => {
    await redis.set(jobKey('mail', 'worse'), 'not a hash');
    const sender = new Sender(redis, prefix);
    const job = { task: 'send-email', queue: 'mail', payloadJson: '{}', version: 1 };
    const failure = sender.send(['bad', 'good', 'worse'].map((id) => ({ ...job, id })));
    await expect(failure).rejects.toMatchObject({
      code: 'E_ENQUEUE_REFUSED',
      message: expect.stringMatching(/^Queue "mail" did not confirm "bad" \(.*WRONGTYPE.*\), "worse" \(/),
    });
  });
});

describe('a wait for a result', () => {
  const stored = '{"task":"charge","ok":true,"result":7}';

  test('goes on after the connection was lost, with what was told meanwhile', async () => {
    const proxy = await startTcpProxy(url);
    const cutOff = createProducer({ redis: proxy.url, prefix });
    const { id, result } = await cutOff.enqueue(charge, { cents: 5 });
    const waiting = result({ timeoutMs: 25_000 });
    const key = jobKey('money', `result:${id}`);
    const channel = channelOf(key, 0);
    await vi.waitFor(async () => expect(await redis.pubsub('NUMSUB', channel)).toEqual([channel, 1]));
    proxy.cut();
    await redis.set(key, stored);
    await redis.publish(channel, '');
    const startedAt = performance.now();
    proxy.forward();
    expect(await waiting).toBe(7);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await cutOff.close();
    proxy.close();
  });

  test('goes on after the connection was lost while an answer was on its way', async () => {
    const proxy = await startTcpProxy(url);
    const cutOff = createProducer({ redis: proxy.url, prefix });
    const earlier = await cutOff.enqueue(charge, { cents: 4 });
    await expect(earlier.result({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_RESULT_TIMEOUT' });
    const { id, result } = await cutOff.enqueue(charge, { cents: 5 });
    const [key, looked] = [jobKey('money', `result:${id}`), [] as string[]];
    const endMonitor = await monitorRedis(url, ({ name, args }) => void (name === 'get' && looked.push(...args)));
    // The connections are opened in this order: the producer's own, the one that hears, and the one that reads.
    proxy.hold(2);
    const waiting = result({ timeoutMs: 25_000 });
    await vi.waitFor(() => expect(looked).toContain(key), { interval: 5 });
    endMonitor();
    proxy.cut();
    await redis.set(key, stored);
    const startedAt = performance.now();
    proxy.forward();
    expect(await waiting).toBe(7);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await cutOff.close();
    proxy.close();
  });

  test('takes a result of a worker of an earlier version, which names no task', async () => {
    const { id, result } = await producer.enqueue(charge, { cents: 5 });
    await redis.set(jobKey('money', `result:${id}`), '{"ok":true,"result":7}');
    expect(await result({ timeoutMs: 1_000 })).toBe(7);
  });

  test('is woken by a message, and does not believe it', async () => {
    const { id, result } = await producer.enqueue(charge, { cents: 5 });
    const key = jobKey('money', `result:${id}`);
    const channel = channelOf(key, 0);
    const waiting = result({ timeoutMs: 5_000 });
    await vi.waitFor(async () => expect(await redis.pubsub('NUMSUB', channel)).toEqual([channel, 1]));
    const forged = '{"task":"charge","ok":true,"result":"forged"}';
    for (const name of [key, channel]) await redis.publish(name, forged);
    await redis.set(key, stored);
    const wokenAt = performance.now();
    await redis.publish(channel, forged);
    expect(await waiting).toBe(7);
    expect(performance.now() - wokenAt).toBeLessThan(1_000);
  });

  test('hears nothing of another database', async () => {
    const [here, there] = [2, 3].map((db) => createProducer({ redis: `${url}/${db}`, prefix }));
    const broker = await connectBroker({ redis: `${url}/3`, prefix });
    const run = async (): Promise<Outcome> => ({ kind: 'completed', resultJson: '3', keepResultMs: 5_000 });
    const ignored = { onTrouble() {}, onRecovered() {}, onDead() {} };
    const consumer = await broker.consume({ queue: defineQueue({ name: 'money' }), concurrency: 1, run, ...ignored });
    consumer.start();
    const waits = [here, there].map(async (one) => {
      const { result } = await (one as Producer).enqueue(charge, { cents: 5 }, { id: 'x' });
      return result({ timeoutMs: 500 }).catch(({ code }) => code);
    });
    expect(await Promise.all(waits)).toEqual(['E_RESULT_TIMEOUT', 3]);
    await consumer.close();
    await Promise.all([here?.close(), there?.close(), broker.close()]);
    for (const db of [2, 3]) {
      const client = redis.duplicate({ db });
      await client.unlink(await client.keys(`${prefix}:*`));
      client.disconnect();
    }
  });

  test.each(['no JSON', '{"ok":1}', '{"ok":true,"task":5}', 'null', '[]'])(
    'refuses what no worker has written: %s',
    async (text) => {
      const { id, result } = await producer.enqueue(charge, { cents: 5 });
      await redis.set(jobKey('money', `result:${id}`), text);
      await expect(result()).rejects.toMatchObject({
        code: 'E_RESULT_INVALID',
        message: expect.stringContaining(`the result of job "${id}" was not written by a worker of Islet`),
      });
    },
  );

  test('looks once more before it times out', async () => {
    // A wait that finds a connection looks once at its start.
    const earlier = await producer.enqueue(charge, { cents: 4 });
    await expect(earlier.result({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_RESULT_TIMEOUT' });
    const { id, result } = await producer.enqueue(charge, { cents: 5 });
    const key = jobKey('money', `result:${id}`);
    const looked: string[] = [];
    const endMonitor = await monitorRedis(url, ({ name, args }) => void (name === 'get' && looked.push(...args)));
    const waiting = result({ timeoutMs: 1_000 });
    await vi.waitFor(() => expect(looked).toContain(key), { interval: 5 });
    endMonitor();
    await redis.set(key, stored);
    expect(await waiting).toBe(7);
  });

  test('times out within a second of its limit while Redis is away', async () => {
    const proxy = await startTcpProxy(url);
    const cutOff = createProducer({ redis: proxy.url, prefix });
    const { result } = await cutOff.enqueue(charge, { cents: 5 });
    proxy.cut();
    const startedAt = performance.now();
    await expect(result({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_RESULT_TIMEOUT' });
    expect(performance.now() - startedAt).toBeLessThan(1_050);
    await cutOff.close();
    proxy.close();
  });
});

describe('after its close', () => {
  test('a producer that was never used connects no more', async () => {
    const unused = createProducer({ redis: url, prefix });
    await unused.close();
    await expect(unused.enqueue(sendEmail, { to: 'a' })).rejects.toMatchObject({ code: 'E_PRODUCER_CLOSED' });
    expect(await redis.keys(`${prefix}:*`)).toEqual([]);
  });
});

test('finds the new primary after a failover, without more than one try a second', async () => {
  const [before, after] = [await startPrivateRedis(), await startPrivateRedis()];
  const proxy = await startTcpProxy(before.server.url);
  const away = createProducer({ redis: proxy.url, prefix });
  try {
    await away.enqueue(sendEmail, { to: 'a' });
    const { password } = new URL(before.server.url);
    await after.server.ask((client) => client.config('SET', 'requirepass', password));
    await before.demote(true);
    const refused = { message: expect.stringContaining('READONLY') };
    for (let n = 0; n < 3; n++) await expect(away.enqueue(sendEmail, { to: 'b' })).rejects.toMatchObject(refused);
    const taken = await before.server.ask((client) => client.info('stats'));
    // These are the connection of the start, the first new one, and those of this test.
    expect(Number(/total_connections_received:(\d+)/.exec(taken)?.[1])).toBeLessThan(10);
    // This is what a name of the primary does: connections that are open stay where they are.
    proxy.forward(`redis://:${password}@${new URL(after.server.url).host}`);
    const sent = () => away.enqueue(sendEmail, { to: 'c' });
    await vi.waitFor(async () => expect(await sent()).toMatchObject({ accepted: true }), { timeout: 3_000 });
  } finally {
    await away.close();
    proxy.close();
    await Promise.all([before.close(), after.close()]);
  }
});

describe('while Redis is away', () => {
  const elapsed = async (work: Promise<unknown>) => {
    const startedAt = performance.now();
    const error = await work.then(
      () => undefined,
      (thrown) => thrown,
    );
    return { error, ms: performance.now() - startedAt };
  };

  test('fails within a second, having sent nothing, and never shows the password', async () => {
    const lost = createProducer({ redis: 'redis://user:hunter2@127.0.0.1:1/0' });
    const { error, ms } = await elapsed(lost.enqueue(sendEmail, { to: 'a' }));
    await lost.close();
    expect(error).toMatchObject({ code: 'E_REDIS_UNREACHABLE' });
    expect(error.message).not.toContain('hunter2');
    expect(ms).toBeLessThan(1_000);
  });

  test('fails within a second when a server accepts and never answers', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const lost = createProducer({ redis: `redis://127.0.0.1:${port}` });
    const { error, ms } = await elapsed(lost.enqueue(sendEmail, { to: 'a' }));
    await lost.close();
    server.close();
    expect(error).toMatchObject({ code: 'E_REDIS_UNREACHABLE' });
    expect(ms).toBeLessThan(1_000);
  });

  test('says that a job may have arrived, with its id, when the answer is lost', async () => {
    await producer.enqueue(sendEmail, { to: 'first' });
    await redis.call('CLIENT', 'PAUSE', '1500', 'WRITE');
    const { error, ms } = await elapsed(producer.enqueue(sendEmail, { to: 'a' }, { id: 'maybe' }));
    await redis.call('CLIENT', 'UNPAUSE');
    expect(error).toMatchObject({
      code: 'E_ENQUEUE_UNCERTAIN',
      jobs: { uncertain: ['maybe'], accepted: [], refused: [], notSent: [] },
    });
    expect(ms).toBeLessThan(1_000);
    await producer.enqueue(sendEmail, { to: 'a' }, { id: 'maybe' });
    expect(await producer.counts('mail')).toMatchObject({ waiting: 2 });
  });

  test.each([
    ['a wrong password', () => url.replace(/:[^:@]+@/, ':wrong@'), 'E_REDIS_DENIED', /WRONGPASS|NOAUTH/],
    ['a wrong database', () => `${url}/99`, 'E_REDIS_REFUSED', /out of range/],
  ])('names %s', async (_, wrongUrl, code, said) => {
    const refused = createProducer({ redis: wrongUrl() });
    const { error } = await elapsed(refused.enqueue(sendEmail, { to: 'a' }));
    await refused.close();
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(said);
  });
});

describe('a wait for a result that ends with E_RESULT_TIMEOUT says', () => {
  const wait = async () => {
    const { result } = await producer.enqueue(charge, { cents: 5 });
    return result({ timeoutMs: 20 }).catch(({ code, message }) => `${code}: ${message}`);
  };

  test('that the queue is paused', async () => {
    const meta = jobKey('money', 'meta');
    await redis.hset(meta, metaFields.paused, '1');
    expect(await wait()).toMatch(/^E_RESULT_TIMEOUT: .* Queue "money" is paused: resume it\.$/);
  });

  test('that the queue is rate-limited, and for how long', async () => {
    await runScript(redis, limitQueue, [jobKey('money', 'meta'), jobKey('money', 'limiter')], [60_000]);
    const worker = redis.duplicate({ connectionName: workerClientName(placeOf({ name: 'money' }, prefix), 1) });
    await worker.ping();
    expect(await wait()).toMatch(/ Queue "money" is rate-limited and gives no job for [56]\d{4} ms: wait longer/);
    worker.disconnect();
  });

  test('that no worker of its own database is there', async () => {
    const other = redis.duplicate({ connectionName: workerClientName(placeOf({ name: 'money' }, prefix), 1), db: 3 });
    await other.ping();
    expect(await producer.workers('money')).toBe(0);
    expect(await wait()).toMatch(/ Queue "money" has no worker: start one\.$/);
    other.disconnect();
  });
});
