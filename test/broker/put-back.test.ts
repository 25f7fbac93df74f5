import { Job, type JobsOptions, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { placeOf, queueKey } from '../../src/broker/keys.ts';
import { QueueHandle } from '../../src/broker/queue-handle.ts';
import { lookForStalled } from '../../src/broker/scripts.ts';
import { PermanentError } from '../../src/errors.ts';
import { findFailed, redrive } from '../../src/inspect/redrive.ts';
import { defineQueue, type QueueManifest } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';
import type { TaskContext } from '../../src/worker/task-context.ts';
import { askBoard } from '../support/bull-board.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';
import { type ServeOptions, serveTasks } from '../support/serve-tasks.ts';

const backoff = { type: 'fixed', delayMs: 1 } as const;
const send = defineTask({ name: 'send', queue: 'mail', payload: v.any(), attempts: 2, backoff });
const pay = defineTask({ name: 'pay', queue: 'mail', payload: v.any(), delivery: 'at-most-once' });
const retention = { completedCount: 10 };

let place: RedisPlace;
let mail: QueueManifest;
let plain: Queue;
let redis: Redis;
let producer: Producer;
let code: (context: TaskContext<object>) => unknown;
/** The attempts whose code has run. */
let attempts: number[];
const closers: (() => unknown)[] = [];

beforeEach(() => {
  place = openRedisPlace();
  redis = new Redis(place.url, { maxRetriesPerRequest: null });
  producer = createProducer({ redis: place.url, prefix: place.prefix });
  code = fail;
  attempts = [];
  openQueue(defineQueue({ name: 'mail', retention }));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await producer.close();
  redis.disconnect();
  await place.close();
});

function openQueue(manifest: QueueManifest): void {
  mail = manifest;
  const { name, prefix } = bullmqQueue(mail, { prefix: place.prefix });
  plain = new Queue(name, { prefix, connection: redis });
  const opened = plain;
  closers.push(() => opened.close());
}

const fail = () => {
  throw new Error('no');
};
const run = (_: unknown, context: TaskContext<object>) => {
  attempts.push(context.attempt);
  return code(context);
};
const tasks = [send, pay].map((manifest) => ({ manifest, run }));

async function serve(options: Partial<ServeOptions> = {}) {
  const served = await serveTasks(place, { tasks, queue: mail, ...options });
  closers.push(served.close);
  return served;
}

const key = (id: string) => queueKey(placeOf(mail, place.prefix), id);
const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 5 });
const untilState = (id: string, state: string) => until(async () => expect(await plain.getJobState(id)).toBe(state));

async function read(id: string): Promise<Job> {
  const job = await Job.fromId(plain, id);
  if (!job) throw new Error(`There is no job "${id}".`);
  return job;
}

async function add(name = 'send', options: JobsOptions = {}): Promise<string> {
  return (await plain.add(name, {}, options)).id ?? '';
}

/** Makes a job and lets a worker end it. */
async function endBy(id: string, state = 'failed', options: Partial<ServeOptions> = {}): Promise<void> {
  const { close } = await serve(options);
  await untilState(id, state);
  await close();
}

const tools: Record<string, (id: string) => Promise<unknown>> = {
  'job.retry()': async (id) => (await read(id)).retry(),
  'job.retry() with fresh attempts': async (id) => (await read(id)).retry('failed', { resetAttemptsMade: true }),
  'job.retry() with all counts reset': async (id) =>
    (await read(id)).retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true }),
  'queue.retryJobs()': () => plain.retryJobs({ state: 'failed' }),
  'bull-board': (jobId) =>
    askBoard(plain, '/api/queues/:queueName/:jobId/retry', { params: { queueName: plain.name, jobId } }),
  'bull-board for all': () =>
    askBoard(plain, '/api/queues/:queueName/retry/:queueStatus', {
      params: { queueName: plain.name, queueStatus: 'failed' },
    }),
};

/** Writes what Islet remembers of a job, which then fails. */
const remembering =
  (...fields: string[]) =>
  async (options: Partial<ServeOptions> = {}) => {
    const id = await add();
    await redis.hset(key(id), ...fields);
    await endBy(id, 'failed', options);
    return id;
  };

async function failByPlainWorker(prepare: (id: string) => unknown = () => {}): Promise<string> {
  const id = await add();
  await prepare(id);
  const { name, prefix } = bullmqQueue(mail, { prefix: place.prefix });
  const connection = redis.duplicate();
  const worker = new Worker(name, fail, { prefix, connection });
  await untilState(id, 'failed');
  await worker.close();
  connection.disconnect();
  return id;
}

const crash = (ago: number) => `${Date.now() - ago},w1,culprit`;

const ends: Record<string, [code: RegExp, end: () => Promise<string>]> = {
  'used up': [/^E_TASK_FAILED/, () => remembering('foreign', '1')()],
  poisoned: [/^E_POISONED/, () => remembering('i:crashes', [crash(3), crash(2), crash(1)].join(' '))()],
  'released too often': [
    /^E_RELEASE_LIMIT/,
    async () => {
      const id = await add();
      await redis.hset(key(id), 'i:releases', `${Date.now()}`);
      let started = () => {};
      const running = new Promise<void>((resolve) => {
        started = resolve;
      });
      code = ({ signal }) => {
        started();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      };
      const { close, abort } = await serve({ limits: { maxReleases: 1 } });
      await running;
      abort();
      await untilState(id, 'failed');
      await close();
      return id;
    },
  ],
  'cancelled while it waited': [
    /^E_JOB_CANCELLED/,
    async () => {
      const id = await add('send', { delay: 60_000 });
      expect(await producer.cancel(id, { queue: 'mail' })).toMatchObject({ found: 'waiting' });
      return id;
    },
  ],
  'cancelled before it was delivered': [/^E_JOB_CANCELLED/, () => remembering('i:cancel', 'not needed')()],
  'unknown until the deadline': [
    /^E_TASK_UNKNOWN/,
    () => remembering('i:unknown', '1')({ tasks: [{ manifest: pay, run }] }),
  ],
  'corrupt in what Islet remembers': [/^E_JOB_CORRUPT/, () => remembering('i:releases', 'soon')()],
  'buried with a count that is none': [/^E_JOB_CORRUPT/, () => remembering('ats', 'many')()],
  'unsettled three times': [/^E_INTERNAL/, () => remembering('i:unsettled', '3')()],
  'stalled more than a plain worker allows': [
    /^job stalled more than allowable limit$/,
    () => failByPlainWorker((id) => redis.hset(key(id), 'stc', 2, 'defa', 'job stalled more than allowable limit')),
  ],
  'failed in a plain worker': [/^no$/, () => failByPlainWorker()],
  'at most once, before it had started': [
    /^E_PAYLOAD_INVALID/,
    async () => {
      const strict = defineTask({
        name: 'pay',
        queue: 'mail',
        payload: v.object({ to: v.string() }),
        delivery: 'at-most-once',
      });
      const id = await add('pay');
      await endBy(id, 'failed', { tasks: [{ manifest: strict, run }] });
      return id;
    },
  ],
};

const cases = Object.entries(ends).flatMap(([name, [reason, end]]) =>
  Object.entries(tools).map(([tool, retry]) => ({ name, tool, reason, end, retry })),
);

test.each(cases)('a job that was $name has a fresh run with all attempts by $tool', async ({ reason, end, retry }) => {
  const id = await end();
  expect((await read(id)).failedReason).toMatch(reason);
  attempts = [];
  code = fail;
  await retry(id);
  const { outcomes } = await serve();
  await until(() => expect(outcomes.at(-1)).toMatchObject({ kind: 'failed' }));
  await untilState(id, 'failed');
  const most = (await read(id)).name === 'pay' ? 1 : 2;
  expect(attempts).toEqual([1, 2].slice(0, most));
  const { failedReason, attemptsMade, stacktrace } = await read(id);
  expect({ failedReason, attemptsMade }).toEqual({ failedReason: 'E_TASK_FAILED: Error: no', attemptsMade: most });
  expect(stacktrace).toEqual(attempts.map(() => expect.stringMatching(/^Error: no\n +at /)));
  const left = await redis.hmget(
    key(id),
    'i:releases',
    'i:crashes',
    'i:cancel',
    'i:aborted',
    'i:unsettled',
    'i:completed',
  );
  expect(left.filter((value) => value !== null)).toEqual([]);
  expect(await redis.hmget(key(id), 'stc', 'defa')).toEqual([null, null]);
});

describe.each(Object.entries(tools))('by %s', (_, retry) => {
  test('an at-most-once job that had started is refused, until a person says so', async () => {
    const id = await add('pay');
    await endBy(id);
    expect(attempts).toEqual([1]);
    for (const turn of [1, 2]) {
      await retry(id);
      await endBy(id);
      expect([turn, attempts]).toEqual([turn, [1]]);
    }
    expect((await read(id)).failedReason).toBe(
      `E_RETRY_REFUSED: IsletError: Job "${id}" of task "pay" (queue "mail") was put back after its end, and its code has ` +
        'started before. It is at-most-once, so it is not run again. Check what it has done, then let it run once more with ' +
        `\`islet jobs retry ${id} --queue mail --yes\`.`,
    );
    const handle = new QueueHandle(redis, placeOf(mail, place.prefix));
    await redrive(handle, await findFailed(handle, () => true));
    await endBy(id);
    expect(attempts).toEqual([1, 1]);
  });

  test('a job that still cannot be read is refused, and has a fresh run once it can', async () => {
    const id = await add();
    await redis.hset(key(id), 'data', '{broken');
    for (const turn of [1, 2]) {
      await endBy(id);
      expect([turn, await redis.hget(key(id), 'failedReason')]).toEqual([
        turn,
        expect.stringMatching(/^E_JOB_CORRUPT/),
      ]);
      if (turn === 2) await redis.hset(key(id), 'data', '{}');
      await (turn === 2 ? retry(id) : plain.retryJobs({ state: 'failed' }));
    }
    code = () => 'sent';
    await endBy(id, 'completed');
    expect(attempts).toEqual([1]);
  });
});

test.each(Object.entries(tools))('so it is in a queue that was there before Islet, by %s', async (_, retry) => {
  openQueue(defineQueue({ name: 'mail', bullmq: { name: 'Send Mail', prefix: place.prefix }, retention }));
  const id = await add();
  await redis.hset(key(id), 'i:unsettled', '3');
  await endBy(id);
  expect(attempts).toEqual([]);
  await retry(id);
  await endBy(id);
  expect(attempts).toEqual([1, 2]);
});

describe('a job that was completed and is kept', () => {
  const retried: [string, object][] = [
    ['its attempts', {}],
    ['no attempts', { resetAttemptsMade: true }],
  ];
  test.each(retried)('has a fresh run when it is put back with %s', async (_, options) => {
    const id = await add();
    code = ({ attempt }) => (attempt === 1 ? fail() : 'sent');
    await endBy(id, 'completed');
    await (await read(id)).retry('completed', options);
    await endBy(id, 'completed');
    expect(attempts).toEqual([1, 2, 1, 2]);
  });

  test('has a fresh run, also where it keeps its result', async () => {
    let runs = 0;
    code = () => ++runs;
    const handle = await producer.enqueue(send, {}, { keepResultMs: 60_000 });
    await endBy(handle.id, 'completed');
    expect(await handle.result({ timeoutMs: 1_000 })).toBe(1);
    await (await read(handle.id)).retry('completed');
    let finish = (_: unknown) => {};
    code = () => new Promise((resolve) => (finish = resolve));
    const { close } = await serve();
    await until(() => expect(attempts).toEqual([1, 1]));
    // The result of the last run is gone: who asks now waits for this one.
    const result = handle.result({ timeoutMs: 5_000 });
    finish('again');
    expect(await result).toBe('again');
    await close();
  });
});

describe('is not taken for put back', () => {
  /** Remembers something that a job loses when it is put back. */
  const remember = (id: string) => redis.hset(key(id), 'i:releases', '5');
  const remembered = (id: string) => redis.hget(key(id), 'i:releases');

  test('a job that is retried, by Islet and by a plain worker, also after an error without a message', async () => {
    for (const message of ['no', '']) {
      const id = await add('send', { attempts: 2, backoff: 1 });
      const { name, prefix } = bullmqQueue(mail, { prefix: place.prefix });
      const connection = redis.duplicate();
      const worker = new Worker(name, null, { prefix, connection });
      const job = (await worker.getNextJob('tester:1')) as Job;
      await job.moveToFailed(new Error(message), 'tester:1', false);
      await remember(id);
      attempts = [];
      await endBy(id);
      expect([message, attempts, await remembered(id)]).toEqual([message, [2], '5']);
      await worker.close();
      connection.disconnect();
    }
    attempts = [];
    const id = await add();
    await remember(id);
    await endBy(id);
    expect([attempts, await remembered(id)]).toEqual([[1, 2], '5']);
  });

  test('a job that snoozed, after a failed attempt and before any', async () => {
    let turns = 0;
    const id = await add();
    await remember(id);
    code = ({ snooze }) => {
      turns += 1;
      if (turns === 2) fail();
      if (turns < 4) throw snooze({ delayMs: 1 });
    };
    await endBy(id, 'completed');
    expect([attempts, await remembered(id)]).toEqual([[1, 1, 2, 2], '5']);
  });

  test('a job whose lock was lost, or that was given back', async () => {
    const id = await add();
    await remember(id);
    const handle = new QueueHandle(redis, placeOf(mail, place.prefix));
    await redis.lmove(handle.key('wait'), handle.key('active'), 'RIGHT', 'LEFT');
    await redis.hset(key(id), 'ats', 1);
    await until(async () => {
      await handle.run(lookForStalled, [handle.keyStart, 'nobody', 1]);
      expect(await redis.llen(handle.key('active'))).toBe(0);
    });
    expect(await redis.hget(key(id), 'i:crashes')).toContain('expired');
    await endBy(id);
    expect([attempts, await remembered(id)]).toEqual([[1, 2], '5']);
  });
});

test('each failed attempt leaves its stack, the last five at most, and as many as the job asks for', async () => {
  const often = defineTask({ name: 'send', queue: 'mail', payload: v.any(), attempts: 7, backoff });
  const [id, few, none] = [
    await add(),
    await add('send', { stackTraceLimit: 2 }),
    await add('send', { stackTraceLimit: 0 }),
  ];
  code = ({ attempt }) => {
    throw attempt < 7 ? new Error(`attempt ${attempt}`) : new PermanentError('attempt 7');
  };
  await endBy(id, 'failed', { tasks: [{ manifest: often, run }] });
  for (const other of [few, none]) await endBy(other, 'failed', { tasks: [{ manifest: often, run }] });
  const firstLines = async (of: string) => (await read(of)).stacktrace?.map((stack) => stack.split('\n')[0]);
  const last = ['Error: attempt 6', 'PermanentError: attempt 7'];
  expect(await firstLines(id)).toEqual(['Error: attempt 3', 'Error: attempt 4', 'Error: attempt 5', ...last]);
  expect(await firstLines(few)).toEqual(last);
  expect(await firstLines(none)).toEqual([]);
});
