import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';

const url = process.env.TEST_REDIS_URL ?? '';
const queue = defineQueue({ name: 'mail' });
const payload = v.object({ to: v.string() });
const result = v.object({ sent: v.number() });
const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload, result });
const failure = { code: 'E_TASK_FAILED', causeName: 'Error', causeMessage: 'no', stack: 'Error: no\n    at x' };

let prefix: string;
let producer: Producer;
let broker: Broker;
let redis: Redis;

beforeEach(async () => {
  prefix = `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
  producer = createProducer({ redis: url, prefix });
  broker = await connectBroker({ redis: url, prefix });
  redis = new Redis(url);
});

afterEach(async () => {
  await Promise.all([producer.close(), broker.close()]);
  const keys = await redis.keys(`${prefix}:*`);
  if (keys.length > 0) await redis.unlink(...keys);
  redis.disconnect();
});

/** Serves the queue with outcomes given one after the other, and tells what was delivered. */
async function serve(...outcomes: Outcome[]) {
  const delivered: Delivery[] = [];
  const run = async (delivery: Delivery): Promise<Outcome> => {
    delivered.push(delivery);
    return outcomes[delivered.length - 1] ?? { kind: 'completed', resultJson: undefined };
  };
  const consumer = await broker.consume({ queue, concurrency: 5, run, onTrouble: () => {} });
  return { delivered, close: () => consumer.close() };
}

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 10 });

describe('a delivery', () => {
  test('completed leaves nothing of the job behind', async () => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve();
    await until(() => expect(delivered).toHaveLength(1));
    await close();
    expect(delivered[0]).toMatchObject({ task: 'send-email', jobId: id, input: { to: 'a' }, attempt: 1 });
    expect(await redis.exists(`${prefix}:{mail}:${id}`)).toBe(0);
  });

  test('retried comes again as the next attempt, after its delay', async () => {
    await producer.enqueue(sendEmail, { to: 'a' });
    const startedAt = performance.now();
    const { delivered, close } = await serve({ kind: 'retry', failure, delayMs: 200 });
    await until(() => expect(delivered.map(({ attempt }) => attempt)).toEqual([1, 2]));
    const waitedMs = performance.now() - startedAt;
    expect(waitedMs).toBeGreaterThan(190);
    // Not rounded up to a whole second.
    expect(waitedMs).toBeLessThan(900);
    await close();
  });

  test('failed keeps the job with its reason, and is not tried again', async () => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve({ kind: 'failed', failure });
    await until(async () => expect(await producer.counts('mail')).toMatchObject({ failed: 1 }));
    await close();
    expect(delivered).toHaveLength(1);
    expect(await redis.hget(`${prefix}:{mail}:${id}`, 'failedReason')).toBe('E_TASK_FAILED: Error: no');
  });

  test('released comes again with no attempt used', async () => {
    await producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve({ kind: 'released' });
    await until(() => expect(delivered.map(({ attempt }) => attempt)).toEqual([1, 1]));
    await close();
  });
});

test('an id stands for its job also after the job is done and gone', async () => {
  await producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome-1' });
  const { delivered, close } = await serve();
  await until(() => expect(delivered).toHaveLength(1));
  await until(async () => expect(await redis.exists(`${prefix}:{mail}:welcome-1`)).toBe(0));
  await producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome-1' });
  expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 });
  await close();
  expect(delivered).toHaveLength(1);
});

test('a job of a plain BullMQ queue is delivered like any other', async () => {
  const { name, prefix: bullmqPrefix } = bullmqQueue('mail', { prefix });
  const plain = new Queue(name, { connection: redis, prefix: bullmqPrefix });
  await plain.add('send-email', { to: 'plain' });
  const { delivered, close } = await serve();
  await until(() => expect(delivered[0]).toMatchObject({ task: 'send-email', input: { to: 'plain' }, attempt: 1 }));
  await close();
  await plain.close();
});

describe('a result', () => {
  test('reaches a waiter that came before it, and one that came after', async () => {
    const handle = await producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 5_000 });
    const early = handle.result({ timeoutMs: 5_000 });
    const { delivered, close } = await serve({ kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 5_000 });
    expect(await early).toEqual({ sent: 3 });
    expect(await handle.result({ timeoutMs: 1_000 })).toEqual({ sent: 3 });
    expect(delivered[0]?.keepResultMs).toBe(5_000);
    await close();
  });

  test('of a failed job is thrown with code and cause', async () => {
    const handle = await producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 5_000 });
    const { close } = await serve({ kind: 'failed', failure, keepResultMs: 5_000 });
    await expect(handle.result({ timeoutMs: 5_000 })).rejects.toMatchObject({
      name: 'TaskFailedError',
      code: 'E_TASK_FAILED',
      causeName: 'Error',
      causeMessage: 'no',
    });
    await close();
  });

  test('is not stored unless asked for', async () => {
    await producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve({ kind: 'completed', resultJson: '{"sent":3}' });
    await until(() => expect(delivered).toHaveLength(1));
    await close();
    expect(await redis.keys(`${prefix}:*result*`)).toEqual([]);
  });
});

test('all keys of a queue share a hash tag of their own', async () => {
  await producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 1_000, id: 'x' });
  const keys = await redis.keys(`${prefix}:*`);
  expect(keys.length).toBeGreaterThan(3);
  expect(keys.filter((key) => !key.startsWith(`${prefix}:{mail}:`))).toEqual([]);
});

test('the events of a queue are trimmed to about a hundred', async () => {
  await producer.enqueue(sendEmail, { to: 'a' });
  expect(await redis.hget(`${prefix}:{mail}:meta`, 'opts.maxLenEvents')).toBe('100');
});
