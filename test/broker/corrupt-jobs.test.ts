import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, ConsumeOptions, Delivery, EndedJob, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { placeOf } from '../../src/broker/keys.ts';
import { QueueHandle } from '../../src/broker/queue-handle.ts';
import { lookForStalled } from '../../src/broker/scripts.ts';
import { findFailed } from '../../src/inspect/redrive.ts';
import { sampleJobs } from '../../src/inspect/sample-jobs.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { createProducer, type Producer } from '../../src/producer.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const queue = defineQueue({ name: 'mail' });
const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload: v.object({ to: v.string() }) });
const completed: Outcome = { kind: 'completed', resultJson: undefined };
const failure = { code: 'E_TASK_FAILED', causeName: 'Error', causeMessage: 'no', stack: '' };
const failed: Outcome = { kind: 'failed', failure };

let place: RedisPlace;
let producer: Producer;
let broker: Broker;
let redis: Redis;

beforeEach(async () => {
  place = openRedisPlace();
  producer = createProducer({ redis: place.url, prefix: place.prefix });
  broker = await connectBroker({ redis: place.url, prefix: place.prefix });
  redis = new Redis(place.url);
});

afterEach(async () => {
  await Promise.all([producer.close(), broker.close()]);
  redis.disconnect();
  await place.close();
});

const jobKey = (id: string) => `${place.prefix}:{mail}:${id}`;
const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 10 });

async function consume(options: Partial<ConsumeOptions> = {}) {
  const delivered: Delivery[] = [];
  const ended: [EndedJob, Outcome][] = [];
  const troubles: string[] = [];
  const consumer = await broker.consume({
    queue,
    concurrency: 1,
    async run(delivery) {
      delivered.push(delivery);
      return completed;
    },
    onSettled: (job, outcome) => ended.push([job, outcome]),
    onTrouble: (error) => troubles.push(error.message),
    onRecovered() {},
    onDead() {},
    ...options,
  });
  consumer.start();
  return { delivered, ended, troubles, consumer };
}

/** Enqueues a job, changes what is stored of it, and another job behind it. */
async function enqueueBroken(change: (id: string, key: string) => Promise<unknown>): Promise<string> {
  const { id } = await producer.enqueue(sendEmail, { to: 'broken' });
  await change(id, jobKey(id));
  await producer.enqueue(sendEmail, { to: 'good' });
  return id;
}

/** Enqueues a job, and makes it look like one whose worker has died. */
async function enqueueActive() {
  const handle = await producer.enqueue(sendEmail, { to: 'active' });
  await redis.lmove(`${place.prefix}:{mail}:wait`, `${place.prefix}:{mail}:active`, 'RIGHT', 'LEFT');
  return handle;
}

const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
const set =
  (...fields: [string, string][]) =>
  (_: string, key: string) =>
    redis.hset(key, ...fields.flat());

const broken: Record<string, (id: string, key: string) => Promise<unknown>> = {
  'options that are no JSON': set(['opts', '{broken']),
  'options that are null': set(['opts', 'null']),
  'options of 200,000 levels': set(['opts', deep]),
  'a schedule that is a number': set(['opts', '{"repeat":5}'], ['rjk', 'daily']),
  'a stamp that is no object': set(['opts', '{"islet":null}']),
  'a result kept for a text': set(['opts', '{"islet":{"version":1,"keepResultMs":"long"}}']),
  'a payload that is no JSON': set(['data', '{broken']),
  'a payload that is no JSON, where no failed job is to be kept': set(
    ['data', '{broken'],
    ['opts', '{"removeOnFail":true}'],
  ),
  'a payload of 200,000 levels': set(['data', deep]),
  'a count of attempts that is a text': set(['atm', 'many']),
  'a count of fetches that is a text': set(['ats', 'many']),
  'a count of fetches that is vast': set(['ats', '9223372036854775807']),
  'a count of stalls that is a text': set(['stc', 'many']),
  'a priority that is a text': set(['priority', 'high']),
  'a time that is 1e30': set(['timestamp', '1e30']),
  'a time that is missing': (_, key) => redis.hdel(key, 'timestamp'),
  'a name that is missing': (_, key) => redis.hdel(key, 'name'),
  'no hash at all': (_, key) => redis.del(key),
  'a text in place of a hash': async (_, key) => {
    await redis.del(key);
    await redis.set(key, 'foreign');
  },
  'releases that are no times': set(['i:releases', 'soon']),
  'crashes at 1e30': set(['i:crashes', '1e30,w1,suspect 1e30,w2,suspect 1e30,w3,suspect']),
  'a time of not knowing that is 1e30': set(['i:unknown', '1e30']),
};

describe.each(Object.entries(broken))('a job with %s', (_, change) => {
  test('fails as corrupt and is kept, without a run, and holds up neither its neighbour nor the stop', async () => {
    const id = await enqueueBroken(change);
    const startedAt = performance.now();
    const { delivered, troubles, consumer } = await consume();
    await until(async () => {
      expect(await redis.hget(jobKey(id), 'failedReason')).toMatch(/^E_JOB_CORRUPT: Error: Job ".+" cannot be read/);
    });
    await until(() => expect(delivered.map(({ input }) => input)).toEqual([{ to: 'good' }]));
    expect(troubles).toEqual([expect.stringContaining(`Job "${id}" cannot be read`)]);
    const beforeStop = performance.now();
    expect(beforeStop - startedAt).toBeLessThan(900);
    await consumer.close();
    expect(performance.now() - beforeStop).toBeLessThan(500);
    expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0, failed: 1 });
    expect(await redis.exists(`${jobKey(id)}:lock`)).toBe(0);
    const handle = new QueueHandle(redis, placeOf({ name: 'mail' }, place.prefix));
    expect(await findFailed(handle, () => true)).toMatchObject([{ id }]);
    expect(await sampleJobs(handle, () => true)).toMatchObject({ total: 1 });
    expect(await producer.cancel(id)).toMatchObject({ found: expect.stringMatching(/finished|nowhere/) });
  });
});

test.each([
  ['an end that BullMQ cannot write, by its parent', set(['parent', '{broken']), completed],
  ['a failure that BullMQ cannot write, by its attempts', set(['opts', '{"attempts":"x"}']), failed],
])('a job with %s is settled once', async (_, change, outcome) => {
  const id = await enqueueBroken(change);
  const { delivered, ended, consumer } = await consume({
    async run(delivery) {
      delivered.push(delivery);
      return outcome;
    },
  });
  await until(() => expect(ended).toHaveLength(2));
  await consumer.close();
  expect(delivered.map(({ jobId }) => jobId)[0]).toBe(id);
  expect(delivered).toHaveLength(2);
  expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 });
});

test.each([
  ['no object', '"acme"'],
  ['a list', '["acme"]'],
  ['null', 'null'],
  ['a field that is no text', '{"tenant":"acme","n":5}'],
  ['a field of objects by a name that all have', '{"__proto__":{"tenant":"acme"}}'],
  ['17 fields', JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`f${index}`, 'v'])))],
  ['a text of 257 bytes', `{"v":"${'€'.repeat(85)}xx"}`],
  ['half of a pair of surrogates', '{"v":"\\ud83d"}'],
  ['a name of 65 characters', `{"${'n'.repeat(65)}":"v"}`],
  ['100,000 fields', `{${Array.from({ length: 100_000 }, (_, index) => `"f${index}":"v"`)}}`],
])('a job whose meta is %s runs, and has none', async (_, meta) => {
  const id = await enqueueBroken(set(['opts', `{"islet":{"version":1,"meta":${meta}}}`]));
  const { delivered, ended, troubles, consumer } = await consume();
  await until(() => expect(ended).toHaveLength(2));
  await consumer.close();
  expect(delivered[0]?.jobId).toBe(id);
  expect([delivered[0]?.meta, ended[0]?.[0].meta]).toEqual([{}, {}]);
  expect(troubles).toEqual([]);
});

test('foreign fields beside those of a job change nothing', async () => {
  await enqueueBroken(set(['foreign', 'x'], ['__proto__', 'y'], ['constructor', 'z']));
  const { delivered, consumer } = await consume();
  await until(() => expect(delivered).toHaveLength(2));
  await consumer.close();
  expect(await producer.counts('mail')).toMatchObject({ failed: 0 });
});

test('a text in place of an active job does not keep others from being recovered', async () => {
  const handle = new QueueHandle(redis, placeOf({ name: 'mail' }, place.prefix));
  await redis.set(jobKey('foreign'), 'text');
  await redis.lpush(handle.key('active'), 'foreign');
  const { id } = await enqueueActive();
  await until(async () => {
    await handle.run(lookForStalled, [handle.keyStart, 'nobody', 1]);
    expect(await redis.llen(handle.key('active'))).toBe(0);
  });
  const { delivered, consumer } = await consume();
  await until(() => expect(delivered.map(({ jobId }) => jobId)).toEqual([id]));
  await consumer.close();
  expect(await redis.hget(jobKey('foreign'), 'failedReason')).toMatch(/^E_JOB_CORRUPT/);
});

test('tells what is wrong, and what to do', async () => {
  const id = await enqueueBroken(set(['atm', 'many']));
  const { ended, consumer } = await consume();
  await until(() => expect(ended).toHaveLength(2));
  await consumer.close();
  expect(ended[0]?.[1]).toMatchObject({
    kind: 'failed',
    failure: {
      code: 'E_JOB_CORRUPT',
      causeMessage:
        `Job "${id}" cannot be read as it is stored in Redis: \`atm\` is not a count. It is kept as failed, and no code ` +
        'was run. Find out which program wrote it, and enqueue it again.',
    },
  });
});
