import { Queue, Worker } from 'bullmq';
import { Queue as Queue5 } from 'bullmq-5';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, Consumer, Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { placeOf, queuesKey } from '../../src/broker/keys.ts';
import { QueueHandle } from '../../src/broker/queue-handle.ts';
import { findFailed, redrive } from '../../src/inspect/redrive.ts';
import { defineQueue, type QueueManifest } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const payload = v.object({ to: v.string() });
const complete = async ({ keepResultMs }: Delivery): Promise<Outcome> => {
  return { kind: 'completed', resultJson: undefined, keepResultMs };
};

let place: RedisPlace;
let redis: Redis;
let producer: Producer;
let broker: Broker;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  place = openRedisPlace();
  redis = new Redis(place.url, { maxRetriesPerRequest: null });
  producer = createProducer({ redis: place.url, prefix: place.prefix, timeoutMs: 10_000 });
  broker = await connectBroker({ redis: place.url, prefix: place.prefix });
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await Promise.all([producer.close(), broker.close()]);
  redis.disconnect();
  await place.close();
});

const mapTo = (name: string, queue = 'mail') =>
  defineQueue({ name: queue, bullmq: { name, prefix: `${place.prefix}:own` } });

function sendTo(queue: QueueManifest) {
  return defineTask({ name: 'send-email', queue, payload });
}

/** Opens the queue as plain BullMQ does. */
function openPlain(queue: QueueManifest): Queue {
  const { name, prefix } = bullmqQueue(queue, { prefix: place.prefix });
  const plain = new Queue(name, { prefix, connection: redis });
  closers.push(() => plain.close());
  return plain;
}

async function serve(queue: QueueManifest, run: (delivery: Delivery) => Promise<Outcome> = complete, from = broker) {
  const delivered: Delivery[] = [];
  const notices: string[] = [];
  const troubles: string[] = [];
  const consumer: Consumer = await from.consume({
    queue,
    concurrency: 5,
    run(delivery) {
      delivered.push(delivery);
      return run(delivery);
    },
    onNotice: (notice) => notices.push(notice),
    onTrouble: ({ message }) => troubles.push(message),
    onRecovered() {},
    onDead: ({ message }) => troubles.push(message),
  });
  consumer.start();
  closers.push(() => consumer.close());
  return { delivered, notices, troubles, consumer };
}

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 10 });
const code = (expected: string) => expect.objectContaining({ code: expected });

describe.each([['Send_Mail'], ['{mail}'], ['with blanks and {braces} inside'], ['mail'], ['ünï-🐟']])(
  'a queue that is "%s" in BullMQ',
  (name) => {
    test('runs the jobs of a plain Queue, and a plain Worker runs those of a producer', async () => {
      const queue = mapTo(name);
      const plain = openPlain(queue);
      expect(plain.name).toBe(name);
      await plain.add('send-email', { to: 'plain' });
      const { delivered, troubles, consumer } = await serve(queue);
      await until(() => expect(delivered.map(({ input }) => input)).toEqual([{ to: 'plain' }]));
      await consumer.close();
      await producer.enqueue(sendTo(queue), { to: 'islet' });
      const seen: unknown[] = [];
      const { name: own, prefix } = bullmqQueue(queue);
      const worker = new Worker(own, async (job) => void seen.push(job.data), { prefix, connection: redis });
      closers.push(() => worker.close());
      await until(() => expect(seen).toEqual([{ to: 'islet' }]));
      expect(troubles).toEqual([]);
    });
  },
);

test('every part of a mapped queue uses its own name: counts, workers, cancel, results, failed jobs', async () => {
  const queue = mapTo('Send_Mail');
  const task = sendTo(queue);
  const plain = openPlain(queue);
  await plain.waitUntilReady();
  const kept = await producer.enqueue(task, { to: 'a' }, { keepResultMs: 60_000 });
  const delayed = await producer.enqueue(task, { to: 'b' }, { delayMs: 60_000 });
  expect(await producer.counts(queue)).toMatchObject({ waiting: 1, delayed: 1 });
  // A name alone is looked up.
  expect(await producer.counts('mail')).toMatchObject({ waiting: 1, delayed: 1 });
  expect(await producer.cancel(delayed.id)).toEqual({ found: 'waiting', queue: 'mail' });
  const { consumer } = await serve(queue);
  expect(await kept.result()).toBeUndefined();
  expect(await producer.workers(queue)).toBe(1);
  expect(await plain.getWorkersCount()).toBe(1);
  await consumer.close();
  const handle = new QueueHandle(redis, placeOf(queue, place.prefix));
  const failed = await findFailed(handle, () => true);
  expect(failed.map(({ id }) => id)).toEqual([delayed.id]);
  expect(await redrive(handle, failed)).toEqual(new Set([delayed.id]));
  for (const found of ['waiting', 'finished']) {
    expect(await producer.cancel(delayed.id, { queue })).toEqual({ found, queue: 'mail' });
  }
  // Nothing of the queue lies elsewhere.
  expect(await redis.keys(`${place.prefix}:{mail}:*`)).toEqual([]);
});

test('jobs of a queue that BullMQ 5 has paused count as waiting, and run when BullMQ 6 resumes it', async () => {
  const queue = mapTo('Send_Mail');
  const plain = openPlain(queue);
  const old = new Queue5(plain.name, { prefix: plain.opts.prefix ?? '', connection: { url: place.url } });
  closers.push(() => old.close());
  await old.add('send-email', { to: 'before' });
  await old.pause();
  await old.add('send-email', { to: 'meanwhile' });
  await producer.enqueue(sendTo(queue), { to: 'islet' });
  expect(await producer.counts(queue)).toMatchObject({ waiting: 3 });
  const { delivered } = await serve(queue);
  expect(delivered).toEqual([]);
  await plain.resume();
  await until(() => expect(delivered).toHaveLength(3));
  expect(await producer.counts(queue)).toMatchObject({ waiting: 0 });
});

test('a worker saves jobs that came while BullMQ 5 had paused the queue from the resume of BullMQ 5', async () => {
  const queue = mapTo('Send_Mail');
  const plain = openPlain(queue);
  const old = new Queue5(plain.name, { prefix: plain.opts.prefix ?? '', connection: { url: place.url } });
  closers.push(() => old.close());
  await old.add('send-email', { to: 'before' });
  await old.pause();
  for (const to of ['first', 'second']) await producer.enqueue(sendTo(queue), { to });
  // The first look of a worker comes at its start.
  const { delivered } = await serve(queue);
  await until(async () => expect(await redis.llen(plain.toKey('paused'))).toBe(3));
  expect(delivered).toEqual([]);
  await old.resume();
  const inputs = () => delivered.map(({ input }) => (input as { to: string }).to);
  await until(() => expect(inputs()).toEqual(['before', 'first', 'second']));
});

test('a plain worker tries a job of Islet as often as its manifest says', async () => {
  const queue = mapTo('Send_Mail');
  const plain = openPlain(queue);
  const task = defineTask({ name: 'send-email', queue, payload, attempts: 4, backoff: { type: 'fixed', delayMs: 5 } });
  const { id } = await producer.enqueue(task, { to: 'a' });
  expect((await plain.getJob(id))?.opts).toMatchObject({
    attempts: 4,
    backoff: { type: 'fixed', delay: 5, jitter: 0.5 },
  });
  const own = await producer.enqueue({ ...task, bullmq: undefined }, { to: 'a' });
  const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
  const ofIslet = new Queue(name, { prefix, connection: redis });
  closers.push(() => ofIslet.close());
  expect((await ofIslet.getJob(own.id))?.opts).toMatchObject({ attempts: 0, backoff: undefined });
});

test('a running job of a mapped queue is aborted by cancel', async () => {
  const queue = mapTo('Send_Mail');
  const plain = openPlain(queue);
  const aborted = (delivery: Delivery) =>
    new Promise<Outcome>((resolve) => {
      const failure = { code: 'E_JOB_CANCELLED', causeName: 'Error', causeMessage: 'no', stack: '' };
      delivery.abort.onAbort(() => resolve({ kind: 'cancelled', failure }));
    });
  const { delivered } = await serve(queue, aborted);
  const job = await plain.add('send-email', { to: 'a' });
  await until(() => expect(delivered).toHaveLength(1));
  expect((await producer.cancel(String(job.id), { queue })).found).toMatch(/running|asked/);
});

test('a mapped queue keeps the events that its owner keeps', async () => {
  const queue = mapTo('Send_Mail');
  const plain = openPlain(queue);
  await plain.waitUntilReady();
  const most = () => redis.hget(plain.toKey('meta'), 'opts.maxLenEvents');
  await until(async () => expect(await most()).toBe('10000'));
  const { delivered } = await serve(queue);
  const task = sendTo(queue);
  for (let batch = 0; batch < 4; batch++) {
    await producer.enqueueMany(
      task,
      Array.from({ length: 100 }, () => ({ payload: { to: 'a' } })),
    );
  }
  await until(() => expect(delivered).toHaveLength(400));
  expect(await most()).toBe('10000');
  expect(await redis.xlen(plain.toKey('events'))).toBeGreaterThan(1_200);
  // Nor do the scripts of Islet's own cut them.
  for (let index = 0; index < 3; index++) {
    const { id } = await producer.enqueue(task, { to: 'a' }, { delayMs: 60_000 });
    await producer.cancel(id);
  }
  expect(await redis.xlen(plain.toKey('events'))).toBeGreaterThan(1_200);
});

describe('a mapping that changes', () => {
  test.each([
    ['from a queue of Islet to one of BullMQ', () => defineQueue({ name: 'mail' }), () => mapTo('Mail')],
    ['from one of BullMQ to one of Islet', () => mapTo('Mail'), () => defineQueue({ name: 'mail' })],
    ['from one of BullMQ to another', () => mapTo('Mail'), () => mapTo('mail')],
  ])('%s is refused while jobs are left', async (_, before, after) => {
    const [old, now] = [before(), after()];
    await producer.enqueue(sendTo(old), { to: 'a' });
    await producer.enqueue(sendTo(old), { to: 'b' }, { delayMs: 60_000 });
    await expect(serve(now)).rejects.toThrow(code('E_QUEUE_MOVED'));
    const names = [old, now]
      .map((each) => placeOf(each, place.prefix))
      .map(({ name, prefix }) => `"${prefix}:${name}"`);
    await expect(serve(now)).rejects.toThrow(
      `Queue "mail" was ${names[0]} in Redis and is ${names[1]} now. 2 jobs are left in the old place, where no worker would run them.`,
    );
    // The way back is open.
    const { delivered, consumer } = await serve(old);
    await until(() => expect(delivered).toHaveLength(1));
    await consumer.close();
  });

  test('does not stop workers of the earlier manifest, while producers send to the new place', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    closers.push(async () => warn.mockRestore());
    const [own, mapped] = [defineQueue({ name: 'mail' }), mapTo('Mail')];
    await (await serve(own)).consumer.close();
    // There, and back again.
    for (const [old, now] of [[own, mapped] as const, [mapped, own] as const]) {
      // A producer that has run for long tells of a place once a minute.
      const fresh = createProducer({ redis: place.url, prefix: place.prefix, timeoutMs: 10_000 });
      closers.push(() => fresh.close());
      const { id } = await fresh.enqueue(sendTo(old), { to: 'old' }, { delayMs: 60_000 });
      await fresh.enqueue(sendTo(now), { to: 'now' });
      await expect(serve(now)).rejects.toThrow(code('E_QUEUE_MOVED'));
      const last = await serve(old);
      expect(last.notices).toEqual([expect.stringContaining('in another one. Neither sees the jobs of the other.')]);
      await last.consumer.close();
      await producer.cancel(id, { queue: old });
      const first = await serve(now);
      await until(() => expect(first.delivered.map(({ input }) => input)).toEqual([{ to: 'now' }]));
      await first.consumer.close();
    }
  });

  test('is taken when no job waits any more, and said once', async () => {
    const old = defineQueue({ name: 'mail' });
    const { id } = await producer.enqueue(sendTo(old), { to: 'a' });
    await producer.cancel(id);
    const first = await serve(mapTo('Mail'));
    expect(first.notices).toEqual([
      expect.stringContaining('No job waits in the old place any more. 1 failed job is still there'),
      expect.stringContaining(`Queue "mail" is mapped to "${place.prefix}:own:Mail", which is not in Redis yet.`),
    ]);
    await first.consumer.close();
    expect(await redis.smembers(queuesKey(place.prefix))).toEqual([
      JSON.stringify({ queue: 'mail', name: 'Mail', prefix: `${place.prefix}:own` }),
    ]);
    expect((await serve(mapTo('Mail'))).notices.filter((notice) => notice.includes('old place'))).toEqual([]);
  });
});

describe('the start on a queue that plain workers have served', () => {
  /** Ends three jobs in each way, one of them two weeks ago. */
  async function endJobs(plain: Queue): Promise<void> {
    for (const state of ['completed', 'failed']) {
      for (const age of [0, 0, 14]) {
        const { id = '' } = await plain.add('send-email', { to: 'a' });
        await redis.lrem(plain.toKey('wait'), 1, id);
        await redis.zadd(plain.toKey(state), Date.now() - age * 86_400_000, id);
      }
    }
  }

  test('tells how many of their ended jobs its retention removes, and keeps the others', async () => {
    const queue = mapTo('Mail');
    const plain = openPlain(queue);
    await endJobs(plain);
    const retention = { ...queue.retention, completedCount: 1, failedForMs: 7 * 86_400_000 };
    const { notices } = await serve({ ...queue, retention });
    expect(notices).toEqual([
      'Queue "mail" has 3 completed jobs, and its `retention` removes 2 of them when the next job ends so. To keep them, ' +
        'raise `completedCount` and `completedForMs` in queues/mail/manifest.ts. To remove many, use `queue.clean()` of ' +
        'plain BullMQ first: Redis does nothing else while it removes them.',
      expect.stringContaining('has 3 failed jobs, and its `retention` removes 1 of them'),
    ]);
    await plain.add('send-email', { to: 'a' });
    await until(async () => expect(await plain.getCompletedCount()).toBe(1));
    expect(await plain.getFailedCount()).toBe(3);
  });

  test('says nothing where its retention keeps them all, as by default, or keeps no job', async () => {
    const queue = mapTo('Mail');
    const plain = openPlain(queue);
    await endJobs(plain);
    const month = 30 * 86_400_000;
    const all = { ...queue.retention, completedForMs: month, failedCount: 3 };
    const none = { ...queue.retention, completedCount: 0, failedCount: 0 };
    for (const retention of [queue.retention, all, none]) {
      const { notices, consumer } = await serve({ ...queue, retention });
      expect(notices).toEqual([]);
      await consumer.close();
    }
    await plain.add('send-email', { to: 'a' });
    await serve(queue);
    await until(async () => expect(await plain.getCompletedCount()).toBe(4));
    expect(await plain.getFailedCount()).toBe(3);
  });
});

describe('a queue of BullMQ that two apps call differently', () => {
  test('is refused to the second one while workers of the first run', async () => {
    const first = await serve(mapTo('Mail'));
    await expect(serve(mapTo('Mail', 'post'))).rejects.toThrow(code('E_QUEUE_TAKEN'));
    const other = await connectBroker({ redis: place.url, prefix: `${place.prefix}-b` });
    closers.push(() => other.close());
    await expect(serve(mapTo('Mail'), undefined, other)).rejects.toThrow(
      `and so is queue "mail" of the app with the prefix "${place.prefix}", whose workers run`,
    );
    await first.consumer.close();
    await serve(mapTo('Mail'), undefined, other);
  });

  test('is not taken by both of two that start at the same time', async () => {
    const other = await connectBroker({ redis: place.url, prefix: `${place.prefix}-b` });
    closers.push(() => other.close());
    const starts = await Promise.allSettled([serve(mapTo('Mail')), serve(mapTo('Mail'), undefined, other)]);
    const refused = starts.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const one of refused) expect(one).toMatchObject({ reason: { code: 'E_QUEUE_TAKEN' } });
  });

  test('is shared by workers of one app', async () => {
    await serve(mapTo('Mail'));
    await serve(mapTo('Mail'));
  });
});

describe('a producer and a worker whose manifests differ', () => {
  test('the producer that comes later is told', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    try {
      await serve(defineQueue({ name: 'mail' }));
      await producer.enqueue(sendTo(mapTo('Mail')), { to: 'a' });
      await producer.enqueue(sendTo(mapTo('Mail')), { to: 'a' });
      expect(warn.mock.calls).toEqual([
        [
          `Queue "mail" is "${place.prefix}:own:Mail" in this process, and "${place.prefix}:{mail}" in another one. ` +
            'Neither sees the jobs of the other. Deploy the same queues/mail/manifest.ts to all producers and workers.',
          { type: 'IsletWarning', code: 'ISLET_QUEUE_ELSEWHERE' },
        ],
      ]);
    } finally {
      warn.mockRestore();
    }
  });

  test('the producer that came first is told within a minute, and once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    closers.push(async () => warn.mockRestore());
    const task = sendTo(mapTo('Mail'));
    const { id } = await producer.enqueue(task, { to: 'a' });
    await producer.cancel(id);
    await serve(defineQueue({ name: 'mail' }));
    for (const minutes of [1, 2]) {
      const later = performance.now() + minutes * 61_000;
      const clock = vi.spyOn(performance, 'now').mockReturnValue(later);
      await producer.enqueue(task, { to: 'a' });
      clock.mockRestore();
    }
    expect(warn.mock.calls).toEqual([
      [
        expect.stringContaining('Neither sees the jobs of the other.'),
        { type: 'IsletWarning', code: 'ISLET_QUEUE_ELSEWHERE' },
      ],
    ]);
  });

  test('the name of a queue that is in two places is refused, and its manifest is not', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    try {
      await producer.enqueue(sendTo(defineQueue({ name: 'mail' })), { to: 'a' });
      await producer.enqueue(sendTo(mapTo('Mail')), { to: 'a' });
      await expect(producer.counts('mail')).rejects.toThrow('Queue "mail" is in several places');
      expect(await producer.counts(mapTo('Mail'))).toMatchObject({ waiting: 1 });
    } finally {
      warn.mockRestore();
    }
  });
});

describe('the start on an empty queue', () => {
  test('names the plain queue of the same name that has jobs, with the line that maps it', async () => {
    const plain = new Queue('mail', { prefix: place.prefix, connection: redis });
    closers.push(() => plain.close());
    await plain.add('send-email', {});
    const { notices } = await serve(defineQueue({ name: 'mail' }));
    expect(notices).toEqual([
      `Queue "mail" has no jobs, but the BullMQ queue "${place.prefix}:mail" has some. This worker serves ` +
        `"${place.prefix}:{mail}". To serve those jobs, write into queues/mail/manifest.ts: ` +
        `bullmq: { name: 'mail', prefix: '${place.prefix}' }`,
    ]);
  });

  test('says nothing of a queue that has jobs, or where no other has', async () => {
    expect((await serve(defineQueue({ name: 'mail' }))).notices).toEqual([]);
    const plain = new Queue('post', { prefix: place.prefix, connection: redis });
    closers.push(() => plain.close());
    await plain.add('send-email', {});
    await producer.enqueue(sendTo(defineQueue({ name: 'post' })), { to: 'a' }, { delayMs: 60_000 });
    expect((await serve(defineQueue({ name: 'post' }))).notices).toEqual([]);
  });
});

test('what somebody else has added to the set of queues is no queue', async () => {
  await redis.sadd(queuesKey(place.prefix), '{', '{"queue":1}', '{"queue":"a"}', 'mail');
  expect(await producer.cancel('x')).toEqual({ found: 'nowhere' });
});
