import { AsyncLocalStorage } from 'node:async_hooks';
import { type Job, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, BullmqWorker, Consumer, Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { defineQueue, type QueueManifest } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';
import { askBoard } from '../support/bull-board.ts';

const url = process.env.TEST_REDIS_URL ?? '';
const mail = defineQueue({ name: 'mail' });
const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload: v.object({ to: v.string() }) });
const failure = { code: 'E_TASK_FAILED', causeName: 'RangeError', causeMessage: 'no', stack: 'RangeError: no\n  at x' };
const completed: Outcome = { kind: 'completed', resultJson: '{"sent":1}' };

let prefix: string;
let producer: Producer;
let broker: Broker;
let redis: Redis;
let queue: Queue;

beforeEach(async () => {
  prefix = `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
  producer = createProducer({ redis: url, prefix });
  broker = await connectBroker({ redis: url, prefix });
  redis = new Redis(url, { maxRetriesPerRequest: null });
  const { name } = bullmqQueue('mail');
  queue = new Queue(name, { connection: redis, prefix, skipMetasUpdate: true });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all([producer.close(), broker.close(), queue.close()]);
  const keys = await redis.keys(`${prefix}:*`);
  if (keys.length > 0) await redis.unlink(...keys);
  redis.disconnect();
});

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 10 });

interface Opened {
  consumer: Consumer;
  worker: BullmqWorker;
  troubles: string[];
}

/** Opens a queue's Worker, which takes no job yet. */
async function open(
  run: (delivery: Delivery) => Promise<Outcome>,
  { concurrency = 5, manifest = mail }: { concurrency?: number; manifest?: QueueManifest } = {},
): Promise<Opened> {
  const troubles: string[] = [];
  const note = (error: Error) => void troubles.push(error.message);
  const options = { queue: manifest, concurrency, run, onTrouble: note, onRecovered() {}, onDead: note };
  const consumer = await broker.consume(options);
  if (!consumer.worker) throw new Error('There is no Worker.');
  return { consumer, worker: consumer.worker, troubles };
}

/** Runs jobs until the test lets each of them end. */
function held() {
  const running = new Map<string, () => void>();
  const run = ({ input }: Delivery) =>
    new Promise<Outcome>((resolve) => {
      const { to } = input as { to: string };
      running.set(to, () => {
        running.delete(to);
        resolve(completed);
      });
    });
  return { running, run, endAll: () => [...running.values()].forEach((end) => void end()) };
}

const send = (...names: string[]) => Promise.all(names.map((to) => producer.enqueue(sendEmail, { to })));

describe('a queue has one Worker of BullMQ', () => {
  test('constructed once for each queue, with its concurrency and lock duration', async () => {
    const created = vi.spyOn(Worker.prototype as unknown as { createBackend(): void }, 'createBackend');
    const other = defineQueue({ name: 'other', concurrency: 7, lockDurationMs: 12_000 });
    const first = await open(async () => completed);
    const second = await open(async () => completed, { concurrency: 7, manifest: other });
    for (const { consumer } of [first, second]) consumer.start();
    expect(created).toHaveBeenCalledTimes(2);
    expect([first.worker, second.worker].every((worker) => worker instanceof Worker)).toBe(true);
    expect(second.worker).toMatchObject({ name: '{other}', concurrency: 7, opts: { lockDuration: 12_000 } });
    await Promise.all([first.consumer.close(), second.consumer.close()]);
  });

  test('which runs from its start to its close', async () => {
    await send('a');
    const seen: string[] = [];
    const { consumer, worker } = await open(async () => completed);
    for (const event of ['ready', 'closed'] as const) worker.on(event, () => void seen.push(event));
    expect(worker.isRunning()).toBe(false);
    // Until then, no job is taken.
    expect(await producer.counts('mail')).toMatchObject({ waiting: 1, active: 0 });
    consumer.start();
    expect(worker.isRunning()).toBe(true);
    await until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 }));
    await until(() => expect(seen).toEqual(['ready']));
    await consumer.close();
    expect([worker.isRunning(), seen]).toEqual([false, ['ready', 'closed']]);
  });

  test('which ends with a `close` of its own, after its jobs', async () => {
    const { running, run, endAll } = held();
    const { consumer, worker } = await open(run);
    consumer.start();
    await send('a');
    await until(() => expect(running.size).toBe(1));
    let closed = false;
    const closing = worker.close().then(() => {
      closed = true;
    });
    await send('b');
    await vi.waitFor(async () => expect(await queue.getWorkersCount()).toBe(0));
    expect([closed, running.size]).toEqual([false, 1]);
    endAll();
    await closing;
    expect(await producer.counts('mail')).toMatchObject({ waiting: 1, active: 0 });
    await consumer.close();
  });
});

describe('its events', () => {
  test('tell of a job that completes: active, completed, drained', async () => {
    const told: unknown[] = [];
    const { consumer, worker } = await open(async () => completed);
    worker.on('active', (job: Job, previous) => void told.push(['active', job.name, job.data, previous]));
    worker.on('completed', ({ id, returnvalue, attemptsMade }: Job, result, previous) => {
      told.push(['completed', id, returnvalue, result, attemptsMade, previous]);
    });
    worker.on('drained', () => void told.push('drained'));
    consumer.start();
    await until(() => expect(told).toEqual(['drained']));
    const [job] = await send('a');
    await until(() => expect(told).toHaveLength(4));
    expect(told.slice(1)).toEqual([
      ['active', 'send-email', { to: 'a' }, 'waiting'],
      ['completed', job?.id, { sent: 1 }, { sent: 1 }, 1, 'active'],
      'drained',
    ]);
    await consumer.close();
  });

  test('hand out the same Job from its start to its end', async () => {
    const jobs: Job[] = [];
    const { consumer, worker } = await open(async () => completed);
    worker.on('active', (job) => void jobs.push(job)).on('completed', (job) => void jobs.push(job));
    consumer.start();
    await send('a', 'b', 'c');
    await until(() => expect(jobs).toHaveLength(6));
    expect(new Set(jobs).size).toBe(3);
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(3);
    await consumer.close();
  });

  test('tell of each failed attempt, and of a result that is no value', async () => {
    const outcomes: Outcome[] = [
      { kind: 'retry', failure, delayMs: 10 },
      { kind: 'failed', failure },
    ];
    const failed: unknown[] = [];
    const results: unknown[] = [];
    const { consumer, worker } = await open(
      async () => outcomes.shift() ?? { kind: 'completed', resultJson: undefined },
    );
    worker.on('failed', (job, error, previous) => {
      failed.push([job?.attemptsMade, job?.failedReason, job?.finishedOn === undefined, String(error), previous]);
    });
    worker.on('completed', (_job, result) => void results.push(result));
    consumer.start();
    await send('a');
    await until(() => expect(failed).toHaveLength(2));
    expect(failed).toEqual([
      [1, 'no', true, 'RangeError: no', 'active'],
      [2, 'no', false, 'RangeError: no', 'active'],
    ]);
    await send('b');
    await until(() => expect(results).toEqual([undefined]));
    await consumer.close();
  });

  test('change nothing for a job, whatever goes wrong with them', async () => {
    const errors: string[] = [];
    const { consumer, worker } = await open(async () => ({ kind: 'completed', resultJson: '{broken' }));
    worker.on('error', ({ message }) => void errors.push(message));
    worker.on('active', () => {
      throw new Error('a listener is broken');
    });
    worker.on('completed', () => void errors.push('told'));
    consumer.start();
    await send('a', 'b');
    await until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 }));
    await until(() => expect(errors).toHaveLength(4));
    expect(errors.filter((text) => text === 'a listener is broken')).toHaveLength(2);
    expect(errors.filter((text) => text.includes('JSON'))).toHaveLength(2);
    await consumer.close();
  });

  test('tell of a stalled job, and of an error', async () => {
    const quick = defineQueue({ name: 'mail', lockDurationMs: 5_000, stalledCheckMs: 1_000 });
    const stalled: string[] = [];
    const errors: string[] = [];
    // The job's worker is gone, and so is its lock.
    const [job] = await send('a');
    const key = `${prefix}:{mail}`;
    await redis.rpoplpush(`${key}:wait`, `${key}:active`);
    const { consumer, worker, troubles } = await open(async () => completed, { manifest: quick });
    worker.on('stalled', (jobId, previous) => void stalled.push(`${jobId} ${previous}`));
    worker.on('error', ({ message }) => void errors.push(message));
    consumer.start();
    await until(() => expect(stalled).toEqual([`${job?.id} active`]));
    worker.emit('error', new Error('a trouble'));
    expect([errors, troubles]).toEqual([['a trouble'], ['a trouble']]);
    await consumer.close();
  });
});

test('`concurrency` is changed while it runs', async () => {
  const { running, run, endAll } = held();
  const { consumer, worker } = await open(run, { concurrency: 1 });
  consumer.start();
  await send('a', 'b', 'c', 'd', 'e', 'f');
  await until(() => expect(running.size).toBe(1));
  worker.concurrency = 3;
  endAll();
  await until(() => expect(running.size).toBe(3));
  worker.concurrency = 1;
  for (const left of [2, 1]) {
    [...running.values()][0]?.();
    await until(() => expect(running.size).toBe(left));
  }
  await until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 2, active: 1 }));
  [...running.values()][0]?.();
  await until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 1, active: 1 }));
  await until(() => expect(running.size).toBe(1));
  worker.concurrency = 5;
  endAll();
  await until(() => expect(running.size).toBe(1));
  endAll();
  await consumer.close();
});

test('`pause` lets running jobs end and takes no other, until `resume`', async () => {
  const { running, run, endAll } = held();
  const { consumer, worker } = await open(run);
  consumer.start();
  await send('a');
  await until(() => expect(running.size).toBe(1));
  const paused = worker.pause();
  await send('b');
  endAll();
  await paused;
  expect([worker.isPaused(), running.size, await queue.getWaitingCount()]).toEqual([true, 0, 1]);
  await worker.resume();
  await until(() => expect([...running.keys()]).toEqual(['b']));
  const pausedAtOnce = worker.pause(true);
  await pausedAtOnce;
  await send('c');
  endAll();
  await until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 1, active: 0 }));
  await worker.resume();
  await until(() => expect([...running.keys()]).toEqual(['c']));
  endAll();
  await consumer.close();
});

test('`pause(true)` while it waits for a job leaves the next one to others, and `resume` takes it at once', async () => {
  const { running, run, endAll } = held();
  const { consumer, worker } = await open(run);
  const waits = new Promise<void>((resolve) => worker.once('drained', () => resolve()));
  consumer.start();
  await waits;
  await worker.pause(true);
  await send('a');
  const resumedAt = performance.now();
  await worker.resume();
  await until(() => expect(running.size).toBe(1));
  expect(performance.now() - resumedAt).toBeLessThan(2_000);
  endAll();
  await consumer.close();
});

test('its jobs do not run in the context of whoever resumes it', async () => {
  const whose = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const { consumer, worker } = await open(async () => {
    seen.push(whose.getStore());
    return completed;
  });
  consumer.start();
  await whose.run('a hook', async () => {
    await worker.pause();
    await worker.resume();
  });
  await send('a');
  await until(() => expect(seen).toEqual([undefined]));
  await consumer.close();
});

test('it has no room while a job runs alone, however long that takes', async () => {
  const { consumer, worker } = await open(async () => completed);
  const room = () => (worker as unknown as { room: number }).room;
  consumer.start();
  expect(room()).toBe(5);
  await consumer.isolate('suspect');
  expect(room()).toBe(0);
  await send('a');
  await consumer.rejoin('suspect');
  expect(room()).toBeGreaterThan(0);
  await until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 }));
  await consumer.close();
});

test('`cancelJob` aborts a job that runs here', async () => {
  const reasons: unknown[] = [];
  let started = 0;
  const { consumer, worker } = await open(async ({ abort, jobId }) => {
    started += 1;
    await new Promise<void>((resolve) => abort.onAbort(resolve));
    reasons.push(`${jobId}: ${(abort.reason as Error).message}`);
    return completed;
  });
  consumer.start();
  const [job] = await send('a');
  await until(() => expect(started).toBe(1));
  expect([worker.cancelJob('nobody'), worker.cancelJob(String(job?.id), 'not wanted')]).toEqual([false, true]);
  await until(() => expect(reasons).toEqual([`${job?.id}: Job "${job?.id}" was cancelled: not wanted`]));
  await consumer.close();
});

test('a rate limit is over when its time is, also while another job runs for longer', async () => {
  const { running, run, endAll } = held();
  const started: string[] = [];
  let limits = 1;
  const { consumer } = await open(async (delivery) => {
    const { to } = delivery.input as { to: string };
    started.push(to);
    if (to === 'long') return run(delivery);
    return limits-- > 0 ? { kind: 'rateLimited', delayMs: 300 } : completed;
  });
  consumer.start();
  await send('long');
  await until(() => expect(running.size).toBe(1));
  await send('limited');
  await until(() => expect(started).toEqual(['long', 'limited', 'limited']));
  expect(running.size).toBe(1);
  endAll();
  await consumer.close();
});

test('jobs go in and end at once when Redis has forgotten all scripts', async () => {
  const { consumer, troubles } = await open(async () => completed);
  consumer.start();
  const idle = () => until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 }));
  await send('a', 'b');
  await idle();
  await redis.script('FLUSH');
  await send('c', 'd');
  await idle();
  const { running, run, endAll } = held();
  await consumer.close();
  const second = await open(run);
  second.consumer.start();
  await send('e', 'f', 'g');
  await until(() => expect(running.size).toBe(3));
  await redis.script('FLUSH');
  endAll();
  await idle();
  expect([...troubles, ...second.troubles]).toEqual([]);
  await second.consumer.close();
});

test('its metrics are written where `opts.metrics` asks for them', async () => {
  const { consumer, worker } = await open(async () => completed);
  worker.opts.metrics = { maxDataPoints: 10 };
  consumer.start();
  await send('a', 'b', 'c');
  await until(async () => expect((await queue.getMetrics('completed')).meta.count).toBe(3));
  await consumer.close();
});

test('its jobs are traced where `opts.telemetry` asks for it, and run whatever a tracer does', async () => {
  const spans: unknown[] = [];
  const span = {
    setAttributes() {},
    addEvent() {},
    recordException() {},
    setAttribute() {},
    end: () => spans.push('end'),
  };
  let broken = false;
  const telemetry = {
    tracer: {
      startSpan(name: string) {
        if (broken) throw new Error('the tracer is broken');
        spans.push(name);
        return { ...span, setSpanOnContext: (context: unknown) => context };
      },
    },
    contextManager: {
      with: (_context: unknown, work: () => unknown) => work(),
      active: () => ({}),
      getMetadata: () => '',
      fromMetadata: (active: unknown) => active,
    },
  };
  const runs: string[] = [];
  const { consumer, worker, troubles } = await open(async ({ jobId }) => {
    runs.push(jobId);
    return completed;
  });
  worker.opts.telemetry = telemetry as never;
  consumer.start();
  await send('a');
  await until(() => expect(spans).toEqual(['process {mail}', 'end']));
  broken = true;
  await send('b');
  await until(() => expect(runs).toHaveLength(2));
  await until(async () => expect(await producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 }));
  expect(new Set(troubles)).toEqual(new Set(['the tracer is broken']));
  // The Worker can stop all the same.
  await consumer.close();
  expect(await queue.getWorkersCount()).toBe(0);
});

test('getWorkers() and bull-board see it, and what it does', async () => {
  const { running, run, endAll } = held();
  const { consumer } = await open(run);
  consumer.start();
  await send('a');
  await until(() => expect(running.size).toBe(1));
  expect(await queue.getWorkers()).toMatchObject([
    { rawname: `${prefix}:${Buffer.from('{mail}').toString('base64')}:w:${process.pid}` },
  ]);
  const query = { activeQueue: queue.name, status: 'active', page: '1', jobsPerPage: '10' };
  const { queues: board } = await askBoard(queue, '/api/queues', { query });
  expect(board).toMatchObject([
    { name: '{mail}', counts: { active: 1 }, jobs: [{ name: 'send-email', data: { to: 'a' } }] },
  ]);
  endAll();
  await consumer.close();
  expect(await queue.getWorkersCount()).toBe(0);
});
