import { once } from 'node:events';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { placeOf } from '../../src/broker/keys.ts';
import { memoryFields } from '../../src/broker/memory.ts';
import { QueueHandle } from '../../src/broker/queue-handle.ts';
import { findFailed, redrive } from '../../src/inspect/redrive.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const payload = v.object({ number: v.number() });
const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload });
const charge = defineTask({ name: 'charge', queue: 'money', payload, priority: 5 });

let place: RedisPlace;
let producer: Producer;
let client: Redis;
let mail: QueueHandle;
const all = () => true;

beforeEach(() => {
  place = openRedisPlace();
  producer = createProducer({ redis: place.url, prefix: place.prefix });
  client = new Redis(place.url, { maxRetriesPerRequest: null });
  mail = new QueueHandle(client, placeOf({ name: 'mail' }, place.prefix));
});

afterEach(async () => {
  await producer.close();
  client.disconnect();
  await place.close();
});

const jobKey = (queue: string, id: string) => `${place.prefix}:{${queue}}:${id}`;

/** Fails so many jobs of a queue as a worker does. */
async function failAll(queue: string, count: number): Promise<void> {
  const { name, prefix } = bullmqQueue(queue, { prefix: place.prefix });
  const connection = client.duplicate();
  let failed = 0;
  const fail = async ({ data }: { data: { number: number } }) => {
    throw new Error(data.number % 2 === 0 ? 'E_EVEN: Error: no such address' : 'E_ODD: Error: mailbox full');
  };
  const worker = new Worker(name, fail, { prefix, connection, concurrency: 50, autorun: false });
  await new Promise<void>((resolve) => {
    worker.on('failed', () => ++failed === count && resolve());
    void worker.run();
  });
  await worker.close();
  connection.disconnect();
}

async function enqueueFailed(count: number): Promise<void> {
  const items = Array.from({ length: count }, (_, number) => ({ payload: { number }, id: `job-${number}` }));
  await producer.enqueueMany(sendEmail, items);
  await failAll('mail', count);
}

test('puts all failed jobs back, over more than one page, in the order in which they failed', async () => {
  await enqueueFailed(1_203);
  const jobs = await findFailed(mail, all);
  expect(jobs).toHaveLength(1_203);
  const times = jobs.map(({ failedAt }) => failedAt);
  expect(times).toEqual([...times].sort());
  expect((await redrive(mail, jobs)).size).toBe(1_203);
  expect(await producer.counts('mail')).toMatchObject({ waiting: 1_203, failed: 0 });
  const waiting = await client.lrange(jobKey('mail', 'wait'), 0, -1);
  expect(waiting.reverse()).toEqual(jobs.map(({ id }) => id));
});

test('gives a job fresh budgets, and keeps what it is', async () => {
  await enqueueFailed(1);
  const key = jobKey('mail', 'job-0');
  const islet = Object.values(memoryFields).flatMap((field) => [field, '1']);
  await client.hset(key, 'stc', 3, 'defa', 'x', 'stacktrace', '["x"]', ...islet);
  await client.set(jobKey('mail', 'result:job-0'), '{"ok":false}');
  await redrive(mail, await findFailed(mail, all));
  const left = await client.hgetall(key);
  expect(left).toMatchObject({ name: 'send-email', data: '{"number":0}', ats: '1' });
  const lost = ['failedReason', 'finishedOn', 'processedOn', 'stacktrace', 'atm', 'stc', 'defa'];
  const { settled, ...forgotten } = memoryFields;
  for (const field of [...lost, ...Object.values(forgotten)]) expect(left).not.toHaveProperty([field]);
  // A late repetition of the command that failed the job finds that this was done.
  expect(left[settled]).toBe('1');
  expect(await client.exists(jobKey('mail', 'result:job-0'))).toBe(0);
});

test('is picked up by a worker that waits', async () => {
  await enqueueFailed(1);
  const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
  const connection = client.duplicate();
  const worker = new Worker(name, async () => 'done', { prefix, connection, drainDelay: 60 });
  const completed = once(worker, 'completed');
  await once(worker, 'drained');
  await redrive(mail, await findFailed(mail, all));
  const [job] = await completed;
  await worker.close();
  connection.disconnect();
  expect(job).toMatchObject({ id: 'job-0', attemptsMade: 1 });
});

test('puts a job with a priority back among those with one', async () => {
  const { id } = await producer.enqueue(charge, { number: 1 });
  await failAll('money', 1);
  await producer.enqueue(charge, { number: 2 }, { priority: 6 });
  const money = new QueueHandle(client, placeOf({ name: 'money' }, place.prefix));
  await redrive(money, await findFailed(money, all));
  expect(await client.zrange(jobKey('money', 'prioritized'), '0', '0')).toEqual([id]);
  expect(await producer.counts('money')).toMatchObject({ prioritized: 2, waiting: 0, failed: 0 });
});

test('reads task and reason of each, for a selection', async () => {
  await enqueueFailed(4);
  const even = await findFailed(mail, ({ failedReason }) => failedReason.includes('no such address'));
  expect(even.map(({ id }) => id).sort()).toEqual(['job-0', 'job-2']);
  expect(await findFailed(mail, ({ task }) => task === 'other')).toEqual([]);
  expect([...(await redrive(mail, even))].sort()).toEqual(['job-0', 'job-2']);
  expect(await producer.counts('mail')).toMatchObject({ waiting: 2, failed: 2 });
});

test('skips jobs that somebody else put back, removed, or that failed again meanwhile', async () => {
  await enqueueFailed(4);
  const jobs = await findFailed(mail, all);
  const queue = place.queue('mail');
  await (await queue.getJob('job-0'))?.retry();
  await queue.remove('job-1');
  await client.zadd(jobKey('mail', 'failed'), Date.now() + 5_000, 'job-2');
  expect([...(await redrive(mail, jobs))]).toEqual(['job-3']);
  expect(await client.lrange(jobKey('mail', 'wait'), 0, -1)).toEqual(['job-3', 'job-0']);
});

test('two at the same time put each job back once', async () => {
  await enqueueFailed(600);
  const jobs = await findFailed(mail, all);
  const other = client.duplicate();
  const [mine, theirs] = await Promise.all([
    redrive(mail, jobs),
    redrive(new QueueHandle(other, placeOf({ name: 'mail' }, place.prefix)), jobs),
  ]);
  other.disconnect();
  expect(mine.size + theirs.size).toBe(600);
  expect(await producer.counts('mail')).toMatchObject({ waiting: 600, failed: 0 });
});
