import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Delivery, EndedJob, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { channelOf, ownKeyNames } from '../../src/broker/keys.ts';
import { memoryFields } from '../../src/broker/memory.ts';
import { CancelledError } from '../../src/errors.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const payload = v.object({});
const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload, keepResultMs: 60_000 });
const charge = defineTask({ name: 'charge', queue: 'money', payload, priority: 5 });
const reason = 'Job "x" was cancelled: the order is gone';
const failedReason = `E_JOB_CANCELLED: CancelledError: ${reason}`;

const completed: Outcome = { kind: 'completed', resultJson: undefined };

let place: RedisPlace;
let producer: Producer;
let redis: Redis;
const opened: { close(): Promise<unknown> }[] = [];

beforeEach(() => {
  place = openRedisPlace();
  producer = createProducer({ redis: place.url, prefix: place.prefix });
  redis = new Redis(place.url, { maxRetriesPerRequest: null });
});

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  await producer.close();
  redis.disconnect();
  await place.close();
});

const jobKey = (queue: string, id: string) => `${place.prefix}:{${queue}}:${id}`;
const cancelX = (queue?: string) => producer.cancel('x', { reason: 'the order is gone', queue });

/** Runs jobs of a queue as a plain BullMQ worker. */
async function work(queue: string, process: () => Promise<unknown>): Promise<Worker> {
  const { name, prefix } = bullmqQueue(queue, { prefix: place.prefix });
  const connection = new Redis(place.url, { maxRetriesPerRequest: null });
  const worker = new Worker(name, process, { prefix, connection });
  opened.push({
    async close() {
      await worker.close(true);
      connection.disconnect();
    },
  });
  await worker.waitUntilReady();
  return worker;
}

/** Subscribes to a channel. The message is wrapped, because whoever awaits this would else await the message, too. */
async function listen(channel: string): Promise<[heard: Promise<string[]>]> {
  const subscriber = redis.duplicate();
  opened.push({ close: async () => subscriber.disconnect() });
  await subscriber.subscribe(channel);
  return [once(subscriber, 'message') as Promise<string[]>];
}

async function expectCancelled(queue: string): Promise<void> {
  const job = await place.queue(queue).getJob('x');
  expect(await job?.getState()).toBe('failed');
  expect(job).toMatchObject({ failedReason, finishedOn: expect.any(Number) });
  expect(await redis.zscore(jobKey(queue, 'failed'), 'x')).toBe(String(job?.finishedOn));
  expect(await redis.hget(jobKey(queue, 'x'), memoryFields.cancel)).toBe('the order is gone');
  expect(await producer.counts(queue)).toEqual({
    ...{ waiting: 0, active: 0, delayed: 0, prioritized: 0, completed: 0 },
    failed: 1,
  });
}

describe('a job that waits ends at once', () => {
  test('in wait', async () => {
    await producer.enqueue(sendEmail, {}, { id: 'x' });
    expect(await cancelX()).toEqual({ found: 'waiting', queue: 'mail' });
    await expectCancelled('mail');
  });

  test('in delayed', async () => {
    await producer.enqueue(sendEmail, {}, { id: 'x', delayMs: 60_000 });
    expect(await cancelX()).toEqual({ found: 'waiting', queue: 'mail' });
    await expectCancelled('mail');
  });

  test('in prioritized', async () => {
    await producer.enqueue(charge, {}, { id: 'x' });
    expect(await cancelX()).toEqual({ found: 'waiting', queue: 'money' });
    await expectCancelled('money');
  });

  test('in a paused queue', async () => {
    await place.queue('mail').pause();
    await producer.enqueue(sendEmail, {}, { id: 'x' });
    expect(await cancelX()).toEqual({ found: 'waiting', queue: 'mail' });
    await expectCancelled('mail');
  });

  test('and tells who waits for its result, now and later', async () => {
    const handle = await producer.enqueue(sendEmail, {}, { id: 'x' });
    const failure = { code: 'E_JOB_CANCELLED', causeName: 'CancelledError', causeMessage: reason };
    const early = handle.result().catch((error) => error);
    await cancelX();
    expect(await early).toMatchObject(failure);
    await expect(handle.result()).rejects.toMatchObject(failure);
    expect(await redis.pttl(jobKey('mail', 'result:x'))).toBeGreaterThan(50_000);
  });

  test('and gives a simple dedupe key free, but leaves that of a throttle', async () => {
    const simple = await producer.enqueue(charge, {}, { dedupe: { key: 'a', mode: 'simple' } });
    const throttle = await producer.enqueue(charge, {}, { dedupe: { key: 'b', mode: 'throttle', ttlMs: 60_000 } });
    await producer.cancel(simple.id);
    await producer.cancel(throttle.id);
    expect(await redis.exists(jobKey('money', 'de:charge:a'))).toBe(0);
    expect(await redis.get(jobKey('money', 'de:charge:b'))).toBe(throttle.id);
  });

  test('and leaves a simple dedupe key that is another job’s by now', async () => {
    const { id } = await producer.enqueue(charge, {}, { dedupe: { key: 'a', mode: 'simple' } });
    await redis.set(jobKey('money', 'de:charge:a'), 'other');
    await producer.cancel(id);
    expect(await redis.get(jobKey('money', 'de:charge:a'))).toBe('other');
  });

  test('of a plain BullMQ producer, with an integer id', async () => {
    await producer.enqueue(charge, {}, { id: 'y' });
    const job = await place.queue('money').add('plain', {});
    expect(await producer.cancel(job.id ?? '')).toEqual({ found: 'waiting', queue: 'money' });
    expect(await job.isFailed()).toBe(true);
  });
});

test('a running job is left to its worker, which hears of it', async () => {
  const cancelChannel = channelOf(jobKey('mail', ownKeyNames.cancel), 0);
  const [heard] = await listen(cancelChannel);
  const worker = await work('mail', () => new Promise(() => {}));
  const started = once(worker, 'active');
  await producer.enqueue(sendEmail, {}, { id: 'x' });
  await started;
  // A plain worker does not answer.
  expect(await cancelX()).toEqual({ found: 'asked', queue: 'mail' });
  expect(await heard).toEqual([cancelChannel, 'x']);
  expect(await redis.hget(jobKey('mail', 'x'), memoryFields.cancel)).toBe('the order is gone');
  expect(await producer.counts('mail')).toMatchObject({ active: 1, failed: 0 });
});

test('each answer is true of jobs that are cancelled while they run, whenever that is', async () => {
  const broker = await connectBroker({ redis: place.url, prefix: place.prefix });
  const ends = new Map<string, string>();
  const failure = { code: 'E_JOB_CANCELLED', causeName: 'CancelledError', causeMessage: 'no', stack: '' };
  const run = async ({ jobId, abort }: Delivery): Promise<Outcome> => {
    await sleep(Number(jobId.slice(1)) % 4);
    // This is what a worker does when it makes an outcome.
    abort.isDecided = true;
    await sleep(1);
    return abort.reason instanceof CancelledError ? { kind: 'cancelled', failure } : completed;
  };
  const ignored = { onTrouble() {}, onRecovered() {}, onDead() {} };
  const onSettled = ({ jobId }: EndedJob, { kind }: Outcome) => void ends.set(jobId, kind);
  const mail = defineQueue({ name: 'mail' });
  const consumer = await broker.consume({ queue: mail, concurrency: 5, run, onSettled, ...ignored });
  consumer.start();
  const found: Record<string, Set<string | undefined>> = {};
  for (let n = 0; n < 60; n++) {
    const { id } = await producer.enqueue(sendEmail, {}, { id: `n${n}` });
    await sleep(n % 6);
    const answer = await producer.cancel(id, { queue: 'mail' });
    await vi.waitFor(() => answer.found === 'waiting' || expect(ends.has(id)).toBe(true), { interval: 1 });
    found[answer.found] = (found[answer.found] ?? new Set()).add(ends.get(id));
  }
  await consumer.close();
  await broker.close();
  expect(found.running).toEqual(new Set(['cancelled']));
  expect(found.asked).toBeUndefined();
  expect([...(found.finished ?? []), ...(found.nowhere ?? [])]).not.toContain('cancelled');
});

test('a job that has ended is left alone', async () => {
  const worker = await work('mail', async () => {
    throw new Error('no such address');
  });
  const failed = once(worker, 'failed');
  await producer.enqueue(sendEmail, {}, { id: 'x' });
  await failed;
  const before = await redis.hgetall(jobKey('mail', 'x'));
  expect(await cancelX()).toEqual({ found: 'finished', queue: 'mail' });
  expect(await redis.hgetall(jobKey('mail', 'x'))).toEqual(before);
});

test.each(['unknown', 'wait', 'meta', 'de:x', '', 'a b', 'marker', 'events', 'result:a', 'islet:workers'])(
  'the id "%s" is found nowhere',
  async (id) => {
    await producer.enqueue(sendEmail, {}, { id: 'x' });
    expect(await producer.cancel(id)).toEqual({ found: 'nowhere' });
    expect(await producer.counts('mail')).toMatchObject({ waiting: 1 });
  },
);

test('a job is found by a process that never used its queue', async () => {
  await producer.enqueue(sendEmail, {}, { id: 'x' });
  const other = createProducer({ redis: place.url, prefix: place.prefix });
  opened.push(other);
  expect(await other.cancel('x')).toEqual({ found: 'waiting', queue: 'mail' });
});

describe('two queues with a job of one id', () => {
  beforeEach(async () => {
    await producer.enqueue(sendEmail, {}, { id: 'x' });
    await producer.enqueue(charge, {}, { id: 'x' });
  });

  test('lose only the one whose queue is named', async () => {
    expect(await cancelX('money')).toEqual({ found: 'waiting', queue: 'money' });
    await expectCancelled('money');
    expect(await producer.counts('mail')).toMatchObject({ waiting: 1, failed: 0 });
  });
});

test('gives a reason where none is given', async () => {
  await producer.enqueue(sendEmail, {}, { id: 'x' });
  await producer.cancel('x');
  expect(await redis.hget(jobKey('mail', 'x'), 'failedReason')).toContain('was cancelled: on request');
});

test.each(['repeat:tick:5', '17', 'with blanks', 'x'.repeat(300), 'ü'])(
  'a job of a plain producer has the id "%s"',
  async (id) => {
    const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
    const plain = new Queue(name, { prefix, connection: redis });
    const given = /^\d+$/.test(id) ? {} : { jobId: id };
    if (!given.jobId) await redis.set(plain.toKey('id'), Number(id) - 1);
    await plain.add('send-email', { to: 'a' }, { ...given, delay: 60_000 });
    // The queue is looked for among those that were used.
    await producer.enqueue(sendEmail, {});
    for (const queue of [undefined, 'mail']) {
      expect(await producer.job(id, { queue })).toMatchObject({ id, state: 'delayed', task: 'send-email' });
    }
    expect(await producer.cancel(id)).toEqual({ found: 'waiting', queue: 'mail' });
    expect(await producer.cancel(id, { queue: 'mail' })).toEqual({ found: 'finished', queue: 'mail' });
    await plain.close();
  },
);

test('a job scheduler is no job: its id finds nothing, and it goes on', async () => {
  const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
  const plain = new Queue(name, { prefix, connection: redis });
  await plain.upsertJobScheduler('daily', { every: 60_000 }, { name: 'send-email', opts: { attempts: 2 } });
  await producer.enqueue(sendEmail, {});
  const before = await redis.hgetall(plain.toKey('repeat:daily'));
  for (const queue of [undefined, 'mail']) {
    expect(await producer.cancel('repeat:daily', { queue })).toEqual({ found: 'nowhere' });
  }
  expect(await redis.hgetall(plain.toKey('repeat:daily'))).toEqual(before);
  await plain.close();
});
