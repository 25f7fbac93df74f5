import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defineTask } from '../../src/manifest/define-task.ts';
import { createProducer, type Producer } from '../../src/producer.ts';

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

  test('makes one job of two enqueues with one id', async () => {
    await producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome-1' });
    await producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome-1' });
    expect(await producer.counts('mail')).toMatchObject({ waiting: 1 });
  });

  test('delays a job', async () => {
    await producer.enqueue(sendEmail, { to: 'a' }, { delayMs: 60_000 });
    expect(await producer.counts('mail')).toMatchObject({ delayed: 1, waiting: 0 });
  });
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
      jobs: { uncertain: ['maybe'], accepted: [], notSent: [] },
    });
    expect(ms).toBeLessThan(1_000);
    await producer.enqueue(sendEmail, { to: 'a' }, { id: 'maybe' });
    expect(await producer.counts('mail')).toMatchObject({ waiting: 2 });
  });

  test.each([
    ['a wrong password', () => url.replace(/:[^:@]+@/, ':wrong@'), /WRONGPASS|NOAUTH/],
    ['a wrong database', () => `${url}/99`, /out of range/],
  ])('names %s', async (_, wrongUrl, said) => {
    const refused = createProducer({ redis: wrongUrl() });
    const { error } = await elapsed(refused.enqueue(sendEmail, { to: 'a' }));
    await refused.close();
    expect(error).toMatchObject({ code: 'E_REDIS_REFUSED' });
    expect(error.message).toMatch(said);
  });
});

test('a wait for a result ends with E_RESULT_TIMEOUT when none comes', async () => {
  const handle = await producer.enqueue(charge, { cents: 5 });
  await expect(handle.result({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_RESULT_TIMEOUT' });
});
