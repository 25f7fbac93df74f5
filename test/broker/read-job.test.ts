import { FlowProducer, type Job, type Processor, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { keyNames } from '../../src/broker/bullmq-names.ts';
import { queueKey } from '../../src/broker/keys.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';
import { startPrivateRedis } from '../support/private-redis.ts';
import { monitorRedis, type SeenCommand } from '../support/redis-monitor.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const result = v.object({ sent: v.number() });
const sendEmail = defineTask({
  name: 'send-email',
  queue: 'mail',
  payload: v.object({}),
  result,
  keepResultMs: 60_000,
});
const charge = defineTask({ name: 'charge', queue: 'money', payload: v.object({}), priority: 5 });
const completed: Outcome = { kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 60_000 };

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
  for (const one of opened.splice(0).reverse()) await one.close();
  await producer.close();
  redis.disconnect();
  await place.close();
});

const keyOf = (name: string) => queueKey(bullmqQueue('mail', { prefix: place.prefix }), name);
const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 5 });
const enqueue = (id: string) => producer.enqueue(sendEmail, {}, { id });

/** Opens a producer that is closed at the end of the test. */
function openProducer(redisUrl: string): Producer {
  const other = createProducer({ redis: redisUrl, prefix: place.prefix });
  opened.push(other);
  return other;
}

/** Runs the jobs of the queue "mail" with Islet. */
async function serve(run: (delivery: Delivery) => Promise<Outcome>): Promise<Broker> {
  const broker = await connectBroker({ redis: place.url, prefix: place.prefix });
  const queue = defineQueue({ name: 'mail', retention: { completedCount: 0 } });
  const ignored = { onTrouble() {}, onRecovered() {}, onDead() {} };
  const consumer = await broker.consume({ queue, concurrency: 5, run, ...ignored });
  consumer.start();
  opened.push(broker, consumer);
  return broker;
}

/** Runs the jobs of the queue "mail" as a plain BullMQ worker. */
function serveByBullmq(run: Processor): Worker {
  const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
  const connection = new Redis(place.url, { maxRetriesPerRequest: null });
  const worker = new Worker(name, run, { prefix, connection, metrics: { maxDataPoints: 5 } });
  opened.push({ close: async () => connection.disconnect() }, { close: () => worker.close(true) });
  return worker;
}

/** Collects the commands that clients, or scripts, send about this test's keys. */
async function watch(url = place.url): Promise<{ seen: SeenCommand[]; names(by: 'client' | 'lua'): string[] }> {
  const seen: SeenCommand[] = [];
  const end = await monitorRedis(url, (command) => {
    if (command.args.some((argument) => argument.includes(place.prefix))) seen.push(command);
  });
  opened.push({ close: async () => end() });
  const names = (by: 'client' | 'lua') =>
    seen.filter(({ source }) => (source === 'lua') === (by === 'lua')).map(({ name }) => name);
  return { seen, names };
}

describe('what it costs', () => {
  test('is one command where the manifest of the queue or of the task is given', async () => {
    await enqueue('x');
    await producer.job('x', { queue: 'mail' });
    const { names } = await watch();
    expect(await producer.job('x', { queue: defineQueue({ name: 'mail' }) })).toMatchObject({ state: 'waiting' });
    expect(await producer.job('x', { task: sendEmail })).toMatchObject({ state: 'waiting' });
    await until(() => expect(names('client')).toEqual(['evalsha', 'evalsha']));
  });

  test('is one round trip over all queues, or by the name of one, and a second one when a queue is new', async () => {
    await enqueue('x');
    await producer.enqueue(charge, {}, { id: 'y' });
    const proxy = await startTcpProxy(place.url);
    const away = openProducer(proxy.url);
    opened.push({ close: async () => proxy.close() });
    await away.job('x');
    const { names } = await watch();
    // No answer comes back: what is sent now is sent in one go.
    const release = proxy.hold();
    const reading = [away.job('x'), away.job('x', { queue: 'mail' })];
    await until(() =>
      expect(names('client').sort()).toEqual(['evalsha', 'evalsha', 'evalsha', 'smembers', 'smembers']),
    );
    release();
    for (const job of await Promise.all(reading)) expect(job).toMatchObject({ queue: 'mail' });
    await redis.sadd(`${place.prefix}:islet:queues`, 'new');
    expect(await away.job('x')).toMatchObject({ queue: 'mail' });
    await until(() => expect(names('client').filter((name) => name === 'evalsha')).toHaveLength(6));
  });

  test('does not grow with the jobs that wait', async () => {
    const own = await startPrivateRedis();
    opened.push(own);
    const { url } = own.server;
    const other = openProducer(url);
    const direct = new Redis(url);
    opened.push({ close: async () => direct.disconnect() });
    await other.enqueue(sendEmail, {}, { id: 'x' });
    /** The least time, in microseconds, that Redis took for 50 reads. */
    const measure = async () => {
      const times: number[] = [];
      for (let round = 0; round < 5; round++) {
        await direct.config('RESETSTAT');
        for (let n = 0; n < 50; n++)
          expect(await other.job('x', { queue: 'mail' })).toMatchObject({ state: 'waiting' });
        times.push(Number(/cmdstat_evalsha:calls=50,usec=(\d+)/.exec(await direct.info('commandstats'))?.[1]));
      }
      return Math.min(...times);
    };
    const before = await measure();
    // The jobs before and behind it, as far from both ends as they can be.
    const fill = `for i = 1, 100000 do redis.call('LPUSH', KEYS[1], 'a' .. i) redis.call('RPUSH', KEYS[1], 'b' .. i) end`;
    await direct.eval(fill, 1, keyOf(keyNames.wait));
    expect(await direct.llen(keyOf(keyNames.wait))).toBe(200_001);
    const after = await measure();
    expect(before).toBeGreaterThan(0);
    // To search the list would take Redis fifty times as long.
    expect(after).toBeLessThan(4 * before);
    const { names } = await watch(url);
    await other.job('x', { queue: 'mail' });
    await until(() => expect(names('lua')).toContain('exists'));
    expect([...new Set(names('lua'))].sort()).toEqual(['exists', 'hmget', 'type', 'zscore']);
  });
});

describe('a job is read', () => {
  const read = (id: string) => producer.job(id, { queue: 'mail' });
  const found = async (id: string) => {
    const { state, result: returned, failure } = (await read(id)) ?? {};
    return { state, result: returned, failure };
  };

  test('in the state that BullMQ gives it, whoever made it', async () => {
    const queue = place.queue('mail');
    const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
    const flows = new FlowProducer({ connection: redis, prefix });
    const child = { name: 'child', queueName: name, opts: { delay: 60_000 } };
    const { job: parent } = await flows.add({ name: 'parent', queueName: name, children: [child] });
    const scheduled = await queue.upsertJobScheduler('daily', { every: 60_000 }, { name: 'send-email' });
    const jobs = await Promise.all([
      queue.add('send-email', {}),
      queue.add('send-email', {}, { delay: 60_000 }),
      queue.add('send-email', {}, { priority: 3 }),
      queue.add('send-email', {}, { lifo: true, jobId: 'first-of-all' }),
    ]);
    for (const job of [...jobs, parent, scheduled as Job]) {
      const known = await read(job.id ?? '');
      expect([job.id, known?.state]).toEqual([job.id, await job.getState()]);
      const { timestamp: enqueuedAt } = (await queue.getJob(job.id ?? '')) as Job;
      expect(known).toMatchObject({ task: job.name, queue: 'mail', attempts: 0, enqueuedAt });
    }
    expect(await read(parent.id ?? '')).toMatchObject({ state: 'waiting-children' });
    expect(scheduled?.id).toMatch(/^repeat:daily:/);
    await queue.pause();
    expect(await read('first-of-all')).toMatchObject({ state: 'waiting' });
    // BullMQ 5 holds the jobs of a paused queue here.
    await redis.rename(keyOf(keyNames.wait), keyOf(keyNames.paused));
    expect(await read('first-of-all')).toMatchObject({ state: 'waiting' });
  });

  test('as a plain BullMQ worker leaves it', async () => {
    const queue = place.queue('mail');
    let end = () => {};
    const ending = new Promise<void>((resolve) => {
      end = resolve;
    });
    serveByBullmq(async (job) => {
      if (job.name === 'fail') throw new Error('no: a mail');
      if (job.name === 'hang') await ending;
      await job.updateProgress('almost');
      return job.name === 'send' ? { sent: 3 } : undefined;
    });
    const [sent, silent, failed, active] = (await Promise.all(
      ['send', 'silent', 'fail', 'hang'].map(async (name) => (await queue.add(name, {})).id ?? ''),
    )) as [string, string, string, string];
    await until(async () => expect(await found(sent)).toMatchObject({ state: 'completed', result: { sent: 3 } }));
    expect(await read(sent)).toMatchObject({ attempts: 1, progress: 'almost', endedAt: expect.any(Number) });
    await until(async () => expect(await found(silent)).toEqual({ state: 'completed' }));
    const failure = { code: 'E_TASK_FAILED', message: 'no: a mail' };
    await until(async () => expect(await found(failed)).toEqual({ state: 'failed', failure }));
    expect(await read(active)).toMatchObject({ state: 'active', startedAt: expect.any(Number) });
    end();
    await until(async () => expect(await found(active)).toMatchObject({ state: 'completed' }));
  });

  test('as waiting, when its worker has lost its lock', async () => {
    let end = (_: Outcome) => {};
    const outcome = new Promise<Outcome>((resolve) => {
      end = resolve;
    });
    await serve(() => outcome);
    await enqueue('x');
    await until(async () => expect(await found('x')).toEqual({ state: 'active' }));
    await redis.del(`${keyOf('x')}:lock`);
    expect(await found('x')).toEqual({ state: 'waiting' });
    end(completed);
  });

  test('as far as it can be read', async () => {
    await enqueue('x');
    await redis.hset(keyOf('x'), { atm: 'x', processedOn: '-1', progress: '{', finishedOn: 'soon' });
    expect(await producer.job('x')).toEqual({
      ...{ id: 'x', task: 'send-email', queue: 'mail', state: 'waiting', attempts: 0 },
      enqueuedAt: expect.any(Number),
    });
    await redis.hdel(keyOf('x'), 'name');
    await serve(async () => completed);
    await until(async () => expect(await found('x')).toMatchObject({ failure: { code: 'E_JOB_CORRUPT' } }));
    expect(await producer.job('x')).toMatchObject({ state: 'failed', task: '' });
  });

  test('with the whole failure that is kept, of which the failed reason has a part', async () => {
    const causeMessage = 'n'.repeat(9_000);
    const failure = { code: 'E_TASK_FAILED', causeName: 'Error', causeMessage, stack: '' };
    await serve(async () => ({ kind: 'failed', failure, keepResultMs: 60_000 }));
    const handle = await enqueue('x');
    await expect(handle.result()).rejects.toMatchObject({ code: 'E_TASK_FAILED' });
    expect((await found('x')).failure?.message).toBe(`Error: ${causeMessage}`);
  });

  test.each([
    ['{"ok":true,"result":{"sent":7}}', { state: 'completed', task: '', result: { sent: 7 } }],
    ['{"task":"send-email","ok":true}', { state: 'completed', task: 'send-email' }],
    [
      '{"task":"send-email","ok":false,"code":"E_TASK_FAILED","causeName":"Error","causeMessage":"no"}',
      { state: 'failed', failure: { code: 'E_TASK_FAILED', message: 'Error: no' } },
    ],
  ])('from a result that a worker of an earlier version has kept: %s', async (stored, expected) => {
    await redis.set(keyOf('result:x'), stored);
    const read = await producer.job('x', { queue: 'mail' });
    expect(read).toMatchObject(expected);
    expect(read?.attempts).toBeUndefined();
  });

  test('unless something else stands in place of its result', async () => {
    await redis.set(keyOf('result:x'), 'no result');
    await expect(producer.job('x', { queue: 'mail' })).rejects.toMatchObject({
      code: 'E_RESULT_INVALID',
      message: expect.stringContaining('the result of job "x" was not written by a worker of Islet'),
    });
    await enqueue('x');
    expect(await found('x')).toEqual({ state: 'waiting' });
    await redis.lpush(keyOf('result:y'), 'no text');
    expect(await producer.job('y', { queue: 'mail' })).toBeUndefined();
  });
});

test('no other key of a queue is taken for a job', async () => {
  const queue = place.queue('mail');
  const flows = new FlowProducer({ connection: redis, prefix: place.prefix });
  const { name } = bullmqQueue('mail', { prefix: place.prefix });
  const jobs = await flows.add({ name: 'parent', queueName: name, children: [{ name: 'child', queueName: name }] });
  await jobs.job.log('a line');
  await queue.upsertJobScheduler('daily', { every: 60_000 }, { name: 'later', data: {}, opts: { attempts: 2 } });
  await queue.add('urgent', {}, { priority: 3 });
  await queue.add('failing', {});
  await producer.enqueue(sendEmail, {}, { dedupe: { key: 'once', mode: 'throttle', ttlMs: 60_000 } });
  const handle = await enqueue('own');
  const worker = serveByBullmq(async (job) => {
    if (job.name === 'failing') throw new Error('no');
  });
  await until(async () =>
    expect(await queue.getJobCounts('wait', 'prioritized', 'active')).toEqual(
      expect.objectContaining({ wait: 0, prioritized: 0, active: 0 }),
    ),
  );
  await worker.close();
  await serve(async () => completed);
  const kept = await producer.enqueue(sendEmail, {}, { id: 'kept' });
  await kept.result();
  await queue.pause();
  await queue.setGlobalRateLimit(5, 1_000);
  const keys = await redis.keys(keyOf('*'));
  const rest = keys.map((key) => key.slice(keyOf('').length));
  const known = await Promise.all(rest.map(async (id) => ({ id, job: await producer.job(id, { queue: 'mail' }) })));
  const taken = known.flatMap(({ id, job }) => (job ? [id] : []));
  const isUuid = (id: string) => /^[\da-f-]{36}$/.test(id);
  expect(taken.filter((id) => !isUuid(id) && !/^\d+$/.test(id) && !/^repeat:daily:\d+$/.test(id))).toEqual(['own']);
  expect(handle.id).toBe('own');
  expect(rest).toEqual(
    expect.arrayContaining([
      'meta',
      'events',
      'completed',
      'failed',
      'repeat',
      'repeat:daily',
      'result:kept',
      'islet:workers',
      'metrics:completed',
    ]),
  );
});

describe('in an existing queue of BullMQ', () => {
  /** Maps the queue "mail" to one that is not there yet. */
  function mapQueue() {
    const queue = defineQueue({ name: 'mail', bullmq: { name: 'Send_Mail', prefix: place.prefix } });
    return { queue, sendMapped: defineTask({ name: 'send-email', queue, payload: v.object({}), result }) };
  }

  test.each(['nothing', 'name', 'queue', 'task'] as const)('a job is found by its id and %s', async (how) => {
    const { queue, sendMapped } = mapQueue();
    const { id } = await producer.enqueue(sendMapped, {});
    const options = { nothing: {}, name: { queue: 'mail' }, queue: { queue }, task: { task: sendMapped } }[how];
    expect(await producer.job(id, options)).toMatchObject({ id, queue: 'mail', state: 'waiting' });
    // The first look may have been a guess.
    expect(await producer.job(id, options)).toMatchObject({ id, queue: 'mail', state: 'waiting' });
  });

  test('a job is not looked for by the name of a queue that is in several places', async () => {
    const { sendMapped } = mapQueue();
    await producer.enqueue(sendMapped, {}, { id: 'mapped' });
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    await enqueue('own');
    warn.mockRestore();
    for (let n = 0; n < 2; n++) {
      await expect(producer.job('own', { queue: 'mail' })).rejects.toMatchObject({
        code: 'E_OPTIONS_INVALID',
        message: expect.stringContaining('Give its manifest instead of its name.'),
      });
      expect(await producer.job('own')).toMatchObject({ queue: 'mail' });
      expect(await producer.job('mapped', { task: sendMapped })).toMatchObject({ queue: 'mail' });
    }
  });
});

describe('while Redis is away', () => {
  test.each(['cut', 'mute'] as const)('ends in time with E_REDIS_UNREACHABLE: %s', async (how) => {
    const proxy = await startTcpProxy(place.url);
    opened.push({ close: async () => proxy.close() });
    const away = openProducer(proxy.url);
    await away.job('x', { queue: 'mail' });
    proxy[how]();
    const startedAt = performance.now();
    for (const options of [{ queue: 'mail' }, {}]) {
      const reading = away.job('x', options);
      await expect(reading).rejects.toMatchObject({ code: 'E_REDIS_UNREACHABLE' });
    }
    expect(performance.now() - startedAt).toBeLessThan(2 * 1_000);
  });

  test('ends in time when Redis takes a connection, and then says nothing', async () => {
    // The other tests' Redis is not to be paused.
    const own = await startPrivateRedis();
    opened.push(own);
    await own.server.ask((client) => client.call('CLIENT', 'PAUSE', '60000', 'ALL'));
    const startedAt = performance.now();
    await expect(openProducer(own.server.url).job('x', { queue: 'mail' })).rejects.toMatchObject({
      code: 'E_REDIS_UNREACHABLE',
    });
    expect(performance.now() - startedAt).toBeLessThan(1_050);
  });
});

describe('the progress of a job', () => {
  async function run(delivered: Delivery[] = []) {
    let end = (_: Outcome) => {};
    const outcome = new Promise<Outcome>((resolve) => {
      end = resolve;
    });
    await serve((delivery) => {
      delivered.push(delivery);
      return outcome;
    });
    return { delivered, end };
  }

  test('is not read for those who do not listen', async () => {
    const { delivered, end } = await run();
    const handle = await enqueue('x');
    await until(() => expect(delivered).toHaveLength(1));
    // A wait that finds a connection looks once at its start.
    await expect(handle.result({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_RESULT_TIMEOUT' });
    const { seen, names } = await watch();
    const waiting = handle.result();
    await until(() => expect(names('client')).toContain('get'));
    seen.length = 0;
    await delivered[0]?.reportProgress(50);
    end(completed);
    expect(await waiting).toEqual({ sent: 3 });
    await until(() => expect(names('client')).toContain('publish'));
    await until(() => expect(names('client')).toContain('get'));
    const reads = seen.filter(({ source, name }) => source !== 'lua' && /^h?get$/.test(name));
    expect(reads.map(({ name }) => name)).toEqual(['get']);
  });

  test('is published only where the result is kept', async () => {
    const { delivered, end } = await run();
    await place.queue('mail').add('send-email', {});
    await until(() => expect(delivered).toHaveLength(1));
    const { names } = await watch();
    await delivered[0]?.reportProgress(50);
    await until(() => expect(names('lua')).toContain('xadd'));
    expect(names('client')).not.toContain('publish');
    end({ kind: 'completed', resultJson: undefined });
  });

  test('is heard after a lost connection, with what was reported meanwhile', async () => {
    const proxy = await startTcpProxy(place.url);
    opened.push({ close: async () => proxy.close() });
    const { delivered, end } = await run();
    const handle = await openProducer(proxy.url).enqueue(sendEmail, {});
    await until(() => expect(delivered).toHaveLength(1));
    const heard: unknown[] = [];
    const waiting = handle.result({ onProgress: (progress) => heard.push(progress) });
    await delivered[0]?.reportProgress(1);
    await until(() => expect(heard).toEqual([1]));
    proxy.cut();
    await delivered[0]?.reportProgress(2);
    proxy.forward();
    await until(() => expect(heard).toEqual([1, 2]));
    end(completed);
    expect(await waiting).toEqual({ sent: 3 });
  });

  test('reaches each who listens as an object of his own', async () => {
    const { delivered, end } = await run();
    const handle = await enqueue('x');
    await until(() => expect(delivered).toHaveLength(1));
    const heard: unknown[] = [];
    const onProgress = (progress: unknown) => {
      heard.push({ ...(progress as object) });
      (progress as { percent: number }).percent = 0;
    };
    const waits = [handle.result({ onProgress }), handle.result({ onProgress })];
    await delivered[0]?.reportProgress({ percent: 50 });
    await until(() => expect(heard).toEqual([{ percent: 50 }, { percent: 50 }]));
    end(completed);
    await Promise.all(waits);
  });

  test('is read a few times only for a thousand who begin to wait at once', async () => {
    const { delivered, end } = await run();
    const handle = await enqueue('x');
    await until(() => expect(delivered).toHaveLength(1));
    await delivered[0]?.reportProgress({ percent: 50 });
    const parse = vi.spyOn(JSON, 'parse');
    let calls = 0;
    const onProgress = () => {
      calls += 1;
    };
    const waits = Array.from({ length: 1_000 }, () => handle.result({ onProgress }));
    await until(() => expect(calls).toBe(1_000));
    await delivered[0]?.reportProgress({ percent: 60 });
    await until(() => expect(calls).toBe(2_000));
    // Once for each who hears, and not once more for each who comes.
    expect(parse.mock.calls.length).toBeLessThan(3_000);
    parse.mockRestore();
    end(completed);
    await Promise.all(waits);
  });

  test('is dropped where it cannot travel as JSON, and its job goes on', async () => {
    const { delivered, end } = await run();
    const handle = await enqueue('x');
    await until(() => expect(delivered).toHaveLength(1));
    const progress: Record<string, unknown> = { percent: 50 };
    await delivered[0]?.reportProgress(progress);
    progress.self = progress;
    await expect(delivered[0]?.reportProgress(progress)).rejects.toThrow('circular');
    end(completed);
    expect(await handle.result()).toEqual({ sent: 3 });
    expect(await producer.job('x')).toMatchObject({ progress: { percent: 50 } });
  });
});
