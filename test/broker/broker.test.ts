import { FlowProducer, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, ConsumeOptions, Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { placeOf } from '../../src/broker/keys.ts';
import { QueueHandle } from '../../src/broker/queue-handle.ts';
import { findFailed } from '../../src/inspect/redrive.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { identifyProcess } from '../../src/process/process-identity.ts';
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

const completed: Outcome = { kind: 'completed', resultJson: undefined };
const jobKey = (id: string) => `${prefix}:{mail}:${id}`;

/** Consumes with `run`, and collects what was delivered and reported. */
async function consume(run: (delivery: Delivery) => Promise<Outcome>, options: Partial<ConsumeOptions> = {}) {
  const delivered: Delivery[] = [];
  const troubles: string[] = [];
  const recovered: string[] = [];
  const consumer = await broker.consume({
    queue,
    concurrency: 5,
    run(delivery) {
      delivered.push(delivery);
      return run(delivery);
    },
    onTrouble: (error) => troubles.push(error.message),
    onRecovered: (ids) => recovered.push(...ids),
    onDead: (error) => troubles.push(error.message),
    ...options,
  });
  consumer.start();
  return { delivered, troubles, recovered, consumer, close: () => consumer.close() };
}

/** Serves the queue with outcomes given one after the other. */
function serve(...outcomes: Outcome[]) {
  return consume(async () => outcomes.shift() ?? completed);
}

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 10 });

describe('a delivery', () => {
  test('retried comes again as the next attempt, after its delay', async () => {
    await producer.enqueue(sendEmail, { to: 'a' });
    const startedAt = performance.now();
    const { delivered, close } = await serve({ kind: 'retry', failure, delayMs: 200 });
    await until(() => expect(delivered.map(({ attempt }) => attempt)).toEqual([1, 2]));
    const waitedMs = performance.now() - startedAt;
    expect(waitedMs).toBeGreaterThan(190);
    // The wait is not rounded up to a whole second.
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

  test('failed is found by a code that stands behind what was thrown', async () => {
    await producer.enqueue(sendEmail, { to: 'a' });
    const causes = [{ name: 'Error', message: 'connect failed', code: 'ECONNREFUSED' }];
    const { close } = await serve({ kind: 'failed', failure: { ...failure, causes } });
    const handle = new QueueHandle(redis, placeOf({ name: 'mail' }, prefix));
    const find = () => findFailed(handle, ({ failedReason }) => failedReason.includes('ECONNREFUSED'));
    await until(async () => expect(await find()).toHaveLength(1));
    await close();
  });

  test('names its worker in the job, also when it came with the settling of another', async () => {
    const workers: (string | null)[] = [];
    for (const to of ['a', 'b', 'c']) await producer.enqueue(sendEmail, { to });
    const { close } = await consume(
      async ({ jobId }) => {
        workers.push(await redis.hget(jobKey(jobId), 'pb'));
        return completed;
      },
      { concurrency: 1 },
    );
    await until(() => expect(workers).toHaveLength(3));
    const known = Object.keys(await redis.hgetall(`${prefix}:{mail}:islet:workers`));
    await close();
    expect(new Set(workers).size).toBe(1);
    expect(known).toContain(workers[0]);
  });

  test('whose stored payload is not JSON fails and is kept', async () => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    await redis.hset(jobKey(id), 'data', '{broken');
    const { delivered, close } = await serve();
    await until(async () => expect(await redis.hget(jobKey(id), 'failedReason')).toMatch(/^E_JOB_CORRUPT/));
    expect(delivered).toEqual([]);
    await close();
  });
});

describe('a lock', () => {
  /** Delivers one job, lets the test meddle with it while it runs, and then completes it. */
  async function whileRunning(
    meddle: (id: string, delivery: Delivery) => Promise<void>,
    options: Partial<ConsumeOptions> = {},
    end: Outcome = completed,
  ) {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    let finish = (_: Outcome) => {};
    const outcome = new Promise<Outcome>((resolve) => {
      finish = resolve;
    });
    const served = await consume(() => outcome, options);
    await until(() => expect(served.delivered).toHaveLength(1));
    await meddle(id, served.delivered[0] as Delivery);
    finish(end);
    return { ...served, id };
  }

  test('that ran out is taken back at the end of the job, if nobody else took it', async () => {
    const { delivered, close, id } = await whileRunning(
      async (jobId) => void (await redis.del(`${jobKey(jobId)}:lock`)),
    );
    await until(async () => expect(await redis.exists(jobKey(id))).toBe(0));
    await close();
    expect(delivered).toHaveLength(1);
    expect(await producer.counts('mail')).toMatchObject({ active: 0, waiting: 0, failed: 0 });
  });

  test('that ran out is taken back also from the waiting jobs', async () => {
    const { delivered, close, id } = await whileRunning(
      async (jobId) => {
        await redis.del(`${jobKey(jobId)}:lock`);
        await redis.lrem(jobKey('active'), 1, jobId);
        await redis.rpush(jobKey('wait'), jobId);
      },
      { concurrency: 1 },
    );
    await until(async () => expect(await redis.exists(jobKey(id))).toBe(0));
    await close();
    expect(delivered).toHaveLength(1);
  });

  test.each([
    ['', completed],
    [', also one whose result is to be kept', { ...completed, keepResultMs: 60_000 } as Outcome],
  ])('that another worker holds drops the outcome%s', async (_, end) => {
    const meddle = async (jobId: string) => {
      await redis.set(`${jobKey(jobId)}:lock`, 'another:1');
      await redis.hincrby(jobKey(jobId), 'ats', 1);
    };
    const { troubles, close, id } = await whileRunning(meddle, {}, end);
    await until(() =>
      expect(troubles).toEqual([
        `The lock of job "${id}" was lost: another worker may run it now. Its outcome is dropped.`,
      ]),
    );
    expect(await redis.lrange(jobKey('active'), 0, -1)).toEqual([id]);
    await close();
  });

  test('that was lost takes back what was noted as a crash of this worker', async () => {
    const { close, id } = await whileRunning(async (jobId) => {
      const worker = (await redis.hget(jobKey(jobId), 'pb')) ?? '';
      await redis.set(`${jobKey(jobId)}:lock`, 'another:1');
      await redis.hset(jobKey(jobId), 'i:crashes', `1,another,suspect 2,${worker},expired 3,another,expired`);
    });
    await until(async () =>
      expect(await redis.hget(jobKey(id), 'i:crashes')).toBe('1,another,suspect 3,another,expired'),
    );
    await close();
  });

  test('that another worker holds aborts the job at the next renewal', async () => {
    const short = defineQueue({ name: 'mail', lockDurationMs: 5_000 });
    const { close } = await whileRunning(
      async (jobId, { abort }) => {
        await redis.set(`${jobKey(jobId)}:lock`, 'another:1');
        await redis.hincrby(jobKey(jobId), 'ats', 1);
        await until(() => expect(abort.signal.reason).toMatchObject({ code: 'E_LOCK_LOST' }));
      },
      { queue: short },
    );
    await close();
  });

  test('is renewed while the job runs', async () => {
    const short = defineQueue({ name: 'mail', lockDurationMs: 5_000 });
    const { close } = await whileRunning(
      async (jobId) => {
        await redis.pexpire(`${jobKey(jobId)}:lock`, 1_900);
        await until(async () => expect(await redis.pttl(`${jobKey(jobId)}:lock`)).toBeGreaterThan(4_000));
      },
      { queue: short },
    );
    await close();
  });

  test('of a job that came back while it still runs here is adopted: the job runs once', async () => {
    const { delivered, close, id } = await whileRunning(async (jobId) => {
      const startsBefore = await redis.hget(jobKey(jobId), 'ats');
      await redis
        .multi()
        .del(`${jobKey(jobId)}:lock`)
        .lrem(jobKey('active'), 1, jobId)
        .rpush(jobKey('wait'), jobId)
        .zadd(jobKey('marker'), 0, '0')
        .exec();
      await until(async () => expect(Number(await redis.hget(jobKey(jobId), 'ats'))).toBe(Number(startsBefore) + 1));
    });
    await until(async () => expect(await redis.exists(jobKey(id))).toBe(0));
    await close();
    expect(delivered).toHaveLength(1);
  });
});

describe('the at-most-once fence', () => {
  test('is written once, under the lock only', async () => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    const answers: boolean[] = [];
    const { close } = await consume(async (delivery) => {
      answers.push(await delivery.markStarted());
      await redis.set(`${jobKey(id)}:lock`, 'another:1');
      answers.push(await delivery.markStarted());
      await redis.del(`${jobKey(id)}:lock`);
      return completed;
    });
    await until(async () => expect(await redis.exists(jobKey(id))).toBe(0));
    await close();
    expect(answers).toEqual([true, false]);
  });
});

describe('a cancelled job', () => {
  test('is aborted while it runs', async () => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    let outcome: Promise<Outcome> = Promise.resolve(completed);
    const { delivered, close } = await consume(({ abort }) => {
      outcome = new Promise((resolve) =>
        abort.signal.addEventListener('abort', () =>
          resolve({ kind: 'cancelled', failure: { ...failure, code: 'E_JOB_CANCELLED' } }),
        ),
      );
      return outcome;
    });
    await until(() => expect(delivered).toHaveLength(1));
    await redis.hset(jobKey(id), 'i:cancel', 'no longer wanted');
    await redis.publish(jobKey('islet:cancel@0'), id);
    await until(async () => expect(await redis.hget(jobKey(id), 'failedReason')).toMatch(/^E_JOB_CANCELLED/));
    expect(delivered[0]?.abort.signal.reason.message).toBe(`Job "${id}" was cancelled: no longer wanted`);
    await close();
  });

  test('arrives aborted, with its reason', async () => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    await redis.hset(jobKey(id), 'i:cancel', 'no longer wanted');
    const { delivered, close } = await serve();
    await until(() => expect(delivered).toHaveLength(1));
    expect(delivered[0]?.memory.cancel).toBe('no longer wanted');
    expect(delivered[0]?.abort.signal.aborted).toBe(true);
    await close();
  });
});

describe('jobs of a dead worker', () => {
  const dead = { pid: 2 ** 22 + 1, startedAt: '1', host: 'here' };

  /** Leaves a job active, locked by a worker that is not there. */
  async function leaveBehind(record: object, holder = 'dead-worker') {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    await redis
      .multi()
      .lrem(jobKey('wait'), 1, id)
      .lpush(jobKey('active'), id)
      .set(`${jobKey(id)}:lock`, `${holder}:0`)
      .hset(jobKey(id), 'ats', 1, 'pb', holder)
      .hset(jobKey('islet:workers'), holder, JSON.stringify(record), `${holder}:seen`, Date.now())
      .exec();
    return id;
  }

  test('are run again at once when it is provably dead, and remember the crash', async () => {
    const { boot, pidNamespace } = identifyProcess();
    const id = await leaveBehind({ ...dead, boot, pidNamespace });
    const { delivered, recovered, close } = await serve();
    await until(() => expect(delivered).toHaveLength(1));
    expect(recovered).toEqual([id]);
    expect(delivered[0]?.memory.crashes).toEqual([{ at: expect.any(Number), worker: 'dead-worker', blame: 'suspect' }]);
    expect(await redis.hexists(jobKey('islet:workers'), 'dead-worker')).toBe(0);
    await close();
  });

  test.each([
    ['lives on another kernel', { boot: 'another' }],
    ['lives in another pid namespace', { pidNamespace: 'pid:[1]' }],
    ['lives', { pid: process.pid, startedAt: identifyProcess().startedAt }],
  ])('wait for their locks when it %s', async (_, difference) => {
    const { boot, pidNamespace } = identifyProcess();
    const id = await leaveBehind({ ...dead, boot, pidNamespace, ...difference });
    const { recovered, close } = await serve();
    expect(recovered).toEqual([]);
    expect(await redis.get(`${jobKey(id)}:lock`)).toBe('dead-worker:0');
    await close();
  });

  test('charge the culprit alone when it is known', async () => {
    const { boot, pidNamespace } = identifyProcess();
    const innocent = await leaveBehind({ ...dead, boot, pidNamespace });
    const culprit = await leaveBehind({ ...dead, boot, pidNamespace });
    await redis.hset(jobKey('islet:workers'), 'dead-worker:culprit', culprit);
    const { delivered, close } = await serve();
    await until(() => expect(delivered).toHaveLength(2));
    const blames = Object.fromEntries(
      delivered.map(({ jobId, memory }) => [jobId, memory.crashes.map(({ blame }) => blame)]),
    );
    expect(blames).toEqual({ [innocent]: [], [culprit]: ['culprit'] });
    await close();
  });

  test('remember no crash when it was stopping', async () => {
    const { boot, pidNamespace } = identifyProcess();
    await leaveBehind({ ...dead, boot, pidNamespace });
    await redis.hset(jobKey('islet:workers'), 'dead-worker:stopping', Date.now());
    const { delivered, close } = await serve();
    await until(() => expect(delivered).toHaveLength(1));
    expect(delivered[0]?.memory.crashes).toEqual([]);
    await close();
  });

  test('run again when their lock ran out; the crash counts only if the worker is gone', async () => {
    const quick = defineQueue({ name: 'mail', lockDurationMs: 5_000, stalledCheckMs: 1_000 });
    const ids = [
      await leaveBehind({ ...dead, boot: 'another' }, 'alive'),
      await leaveBehind({ ...dead, boot: 'another' }, 'gone'),
    ];
    for (const id of ids) await redis.del(`${jobKey(id)}:lock`);
    await redis.hset(jobKey('islet:workers'), 'gone:seen', Date.now() - 60_000, 'alive:seen', Date.now() + 60_000);
    const { delivered, recovered, close } = await consume(async () => completed, { queue: quick });
    await until(() => expect(delivered).toHaveLength(2));
    expect(recovered.sort()).toEqual(ids.sort());
    const crashes = Object.fromEntries(delivered.map(({ jobId, memory }) => [jobId, memory.crashes.length]));
    expect(crashes).toEqual({ [ids[0] as string]: 0, [ids[1] as string]: 1 });
    await close();
  });
});

describe('a consumer', () => {
  test.each([
    ['keeps the crashes of a job that ran alone and was stopped', { kind: 'released', counted: true }, 1],
    ['keeps the crashes of a job that did not get to run alone', { kind: 'released', counted: false }, 1],
    ['forgets the crashes of a job that ran alone and was rate-limited', { kind: 'rateLimited', delayMs: 10 }, 0],
    ['forgets the crashes of a job that ran alone and is retried', { kind: 'retry', failure, delayMs: 10 }, 0],
  ] as [string, Outcome, number][])('%s', async (_, outcome, crashes) => {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    await redis.hset(jobKey(id), 'i:crashes', '1,another,suspect');
    const outcomes = [outcome];
    const serving = consume(async ({ jobId }) => {
      const { consumer } = await serving;
      const next = outcomes.shift();
      if (!next) return completed;
      await consumer.isolate(jobId);
      await consumer.rejoin(jobId);
      return next;
    });
    const { delivered, close } = await serving;
    await until(() => expect(delivered).toHaveLength(2));
    expect(delivered.map(({ memory }) => memory.crashes.length)).toEqual([1, crashes]);
    await close();
  });

  test('charges a crash to the job that runs alone, and to none that waits for that', async () => {
    const { boot, pidNamespace } = identifyProcess();
    const ids: string[] = [];
    for (const holder of ['lone', 'lone', 'waiting']) {
      const { id } = await producer.enqueue(sendEmail, { to: 'a' });
      ids.push(id);
      const record = JSON.stringify({ pid: 2 ** 22 + 1, startedAt: '1', boot, pidNamespace });
      await redis
        .multi()
        .lrem(jobKey('wait'), 1, id)
        .lpush(jobKey('active'), id)
        .set(`${jobKey(id)}:lock`, `${holder}:0`)
        .hset(jobKey('islet:workers'), holder, record, `${holder}:seen`, Date.now())
        .exec();
    }
    const [lone, beside, waiting] = ids as [string, string, string];
    await redis.hset(jobKey('islet:workers'), 'lone:culprit', lone, 'waiting:waiting', waiting);
    const { delivered, close } = await serve();
    await until(() => expect(delivered).toHaveLength(3));
    const crashes = Object.fromEntries(delivered.map(({ jobId, memory }) => [jobId, memory.crashes.length]));
    expect(crashes).toEqual({ [lone]: 1, [beside]: 0, [waiting]: 0 });
    await close();
  });

  test('fetches again at once when its waiting connection was dropped', async () => {
    const { delivered, close } = await serve();
    const name = Buffer.from('{mail}').toString('base64');
    const id = await vi.waitFor(async () => {
      const clients = String(await redis.call('CLIENT', 'LIST')).split('\n');
      const waiting = clients.find((line) => ['cmd=bzpopmin', name, prefix].every((part) => line.includes(part)));
      const [, found] = /^id=(\d+)/.exec(waiting ?? '') ?? [];
      expect(found).toBeDefined();
      return found ?? '';
    });
    await redis.call('CLIENT', 'KILL', 'ID', id);
    await producer.enqueue(sendEmail, { to: 'a' });
    await until(() => expect(delivered).toHaveLength(1));
    await close();
  });

  test('that stops gives back what a fetch in flight brings', async () => {
    const { delivered, consumer, close } = await serve();
    const sent = producer.enqueueMany(
      sendEmail,
      Array.from({ length: 50 }, () => ({ payload: { to: 'a' } })),
    );
    consumer.stop();
    await sent;
    await close();
    const { waiting, active } = await producer.counts('mail');
    expect({ active, all: waiting + delivered.length }).toEqual({ active: 0, all: 50 });
  });

  test('gives back jobs whose fetch was answered to nobody', async () => {
    const quick = defineQueue({ name: 'mail', stalledCheckMs: 1_000 });
    const { delivered, close } = await consume(async () => completed, { queue: quick });
    const worker = (await redis.hkeys(jobKey('islet:workers'))).find((field) => !field.includes(':'));
    await redis
      .multi()
      .hset(jobKey('lost-reply'), 'name', 'send-email', 'data', '{"to":"a"}', 'opts', '{}', 'timestamp', 1, 'ats', 1)
      .lpush(jobKey('active'), 'lost-reply')
      .set(`${jobKey('lost-reply')}:lock`, `${worker}:99`)
      .exec();
    await until(() => expect(delivered.map(({ jobId }) => jobId)).toEqual(['lost-reply']));
    await close();
  });
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

test('a scheduler of a plain BullMQ queue goes on', async () => {
  const { name, prefix: bullmqPrefix } = bullmqQueue('mail', { prefix });
  const plain = new Queue(name, { connection: redis, prefix: bullmqPrefix });
  await plain.upsertJobScheduler('often', { every: 100 }, { name: 'send-email', data: { to: 'plain' } });
  const { delivered, close } = await serve();
  await until(() => expect(delivered.length).toBeGreaterThan(3));
  await plain.removeJobScheduler('often');
  await close();
  await plain.close();
});

test('a job of a scheduler whose options BullMQ refuses runs at once', async () => {
  const { id } = await producer.enqueue(sendEmail, { to: 'a' });
  const opts = JSON.parse((await redis.hget(jobKey(id), 'opts')) ?? '{}');
  await redis.hset(jobKey(id), { rjk: 'a:b', opts: JSON.stringify({ ...opts, repeat: {} }) });
  const { delivered, close } = await serve();
  await vi.waitFor(() => expect(delivered).toHaveLength(1), 900);
  await close();
});

test('the parent of a flow that may not complete has told nobody that it did', async () => {
  const { name, prefix: bullmqPrefix } = bullmqQueue('mail', { prefix });
  const plain = new Queue(name, { connection: redis, prefix: bullmqPrefix });
  const { id, result } = await producer.enqueue(sendEmail, { to: 'parent' }, { keepResultMs: 60_000 });
  const { close } = await consume(async () => {
    const parent = { id, queue: `${bullmqPrefix}:${name}` };
    await plain.add('send-email', { to: 'child' }, { parent, delay: 60_000 });
    return { kind: 'completed', resultJson: '{"sent":1}', keepResultMs: 60_000 };
  });
  await expect(result()).rejects.toMatchObject({ name: 'TaskFailedError', code: 'E_JOB_DEPENDENCIES' });
  await close();
  await plain.close();
});

test('the parent of a failed BullMQ flow fails without being run', async () => {
  const { name, prefix: bullmqPrefix } = bullmqQueue('mail', { prefix });
  const flows = new FlowProducer({ connection: redis, prefix: bullmqPrefix });
  const child = { name: 'send-email', queueName: name, data: { to: 'child' }, opts: { failParentOnFailure: true } };
  const { job } = await flows.add({ name: 'send-email', queueName: name, data: { to: 'parent' }, children: [child] });
  const { delivered, close } = await serve({ kind: 'failed', failure });
  await until(async () =>
    expect(await redis.hget(jobKey(job.id ?? ''), 'failedReason')).toMatch(/^E_JOB_DEPENDENCIES/),
  );
  expect(delivered.map(({ input }) => input)).toEqual([{ to: 'child' }]);
  await close();
  await flows.close();
});

test('a job whose children have not ended fails instead of completing', async () => {
  const { id } = await producer.enqueue(sendEmail, { to: 'a' });
  await redis.sadd(`${jobKey(id)}:dependencies`, 'a child');
  const { close } = await serve();
  await until(async () => expect(await redis.hget(jobKey(id), 'failedReason')).toMatch(/^E_JOB_DEPENDENCIES/));
  await close();
});

describe('a worker is told', () => {
  /** Completes one job, which a meddler has changed, and returns what the worker is told of it. */
  async function toldOf(meddle: (id: string) => Promise<unknown>) {
    const { id } = await producer.enqueue(sendEmail, { to: 'a' });
    const told: unknown[] = [];
    await meddle(id);
    const { close } = await consume(
      async (delivery) => {
        if (delivery.version === 1) await redis.set(`${jobKey(id)}:lock`, 'of another worker');
        return completed;
      },
      { onSettled: ({ jobId, input }, outcome) => void told.push({ jobId, input, outcome }) },
    );
    await until(() => expect(told).toHaveLength(1));
    await redis.del(`${jobKey(id)}:lock`);
    await close();
    return { id, told };
  }

  test('of a failure that no run had', async () => {
    const { id, told } = await toldOf((jobId) => redis.hset(jobKey(jobId), 'data', '{broken'));
    expect(told).toMatchObject([{ jobId: id, input: '{broken', outcome: { failure: { code: 'E_JOB_CORRUPT' } } }]);
  });

  test('of the outcome that was written, if that is another than its own', async () => {
    const { id, told } = await toldOf(async (jobId) => {
      await redis.hset(jobKey(jobId), 'opts', '{}');
      await redis.sadd(`${jobKey(jobId)}:dependencies`, 'a child');
    });
    expect(told).toMatchObject([{ jobId: id, outcome: { kind: 'failed', failure: { code: 'E_JOB_DEPENDENCIES' } } }]);
  });

  test('that nothing was written, if its lock was lost', async () => {
    const { id, told } = await toldOf(async () => {});
    expect(told).toEqual([{ jobId: id, input: { to: 'a' }, outcome: { kind: 'lost' } }]);
  });
});

describe('a result', () => {
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
  // The set of all queues belongs to none.
  expect(keys.filter((key) => !key.startsWith(`${prefix}:{mail}:`))).toEqual([`${prefix}:islet:queues`]);
});

test('the events of a queue are trimmed to about a hundred', async () => {
  await producer.enqueue(sendEmail, { to: 'a' });
  expect(await redis.hget(`${prefix}:{mail}:meta`, 'opts.maxLenEvents')).toBe('100');
});
