import { type JobsOptions, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Outcome } from '../../src/broker/broker.ts';
import { PermanentError } from '../../src/errors.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer } from '../../src/producer.ts';
import type { LoadableTask } from '../../src/worker/load-queue.ts';
import type { PooledJob } from '../../src/worker/pools/unit-handle.ts';
import type { UnitPool } from '../../src/worker/pools/unit-pool.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';
import { type ServeOptions, serveTasks } from '../support/serve-tasks.ts';

const manifest = defineTask({
  name: 'send',
  queue: 'mail',
  payload: v.object({}),
  retries: 'from-job',
  attempts: 2,
  backoff: { type: 'fixed', delayMs: 3, jitter: 0 },
});
/** A job that would go on for ever ends at this attempt. */
const mostAttempts = 7;

let places: RedisPlace[];
let redis: Redis;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  places = [openRedisPlace(), openRedisPlace()];
  redis = new Redis(places[0]?.url ?? '', { maxRetriesPerRequest: null });
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  redis.disconnect();
  await Promise.all(places.map((place) => place.close()));
});

const asked: [string, JobsOptions | Record<string, unknown>][] = [
  ['nothing', {}],
  ['0 attempts', { attempts: 0 }],
  ['1 attempt', { attempts: 1, backoff: 5 }],
  ['5 attempts', { attempts: 5 }],
  ['1.5 attempts', { attempts: 1.5 }],
  ["'3' attempts", { attempts: '3' }],
  ['-1 attempts', { attempts: -1 }],
  ['no end of attempts', { attempts: 1e300 }],
  ['a number', { attempts: 3, backoff: 15 }],
  ['a number of 0', { attempts: 3, backoff: 0 }],
  ['a number of -1', { attempts: 3, backoff: -1 }],
  ['fixed', { attempts: 4, backoff: { type: 'fixed', delay: 10 } }],
  ['fixed without a delay', { attempts: 3, backoff: { type: 'fixed' } }],
  ['fixed with jitter 0', { attempts: 3, backoff: { type: 'fixed', delay: 10, jitter: 0 } }],
  ['a negative fixed delay', { attempts: 3, backoff: { type: 'fixed', delay: -5_000 } }],
  ['a fixed delay of -1', { attempts: 3, backoff: { type: 'fixed', delay: -1 } }],
  ['exponential', { attempts: 5, backoff: { type: 'exponential', delay: 5 } }],
  ['exponential with a fraction', { attempts: 4, backoff: { type: 'exponential', delay: 3.3 } }],
  ['exponential without a delay', { attempts: 3, backoff: { type: 'exponential' } }],
  ['a negative exponential delay', { attempts: 4, backoff: { type: 'exponential', delay: -100 } }],
  ['an exponential delay of -0.5', { attempts: 4, backoff: { type: 'exponential', delay: -0.5 } }],
  ['lifo', { attempts: 3, backoff: 5, lifo: true }],
  ['a priority', { attempts: 3, backoff: 5, priority: 4 }],
];

/** The waits before each further attempt of each job, by the job's payload. */
type Waits = Map<string, number[]>;

async function addAll(place: RedisPlace): Promise<void> {
  for (const [name, options] of asked) await place.queue('mail').add('send', { name }, options as JobsOptions);
}

const untilEnded = (place: RedisPlace, count: number) =>
  vi.waitFor(async () => expect(await place.queue('mail').getFailedCount()).toBe(count), 5_000);

async function runPlainly(place: RedisPlace): Promise<Waits> {
  const waits: Waits = new Map();
  const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
  const connection = redis.duplicate();
  const fail = async ({ attemptsMade }: { attemptsMade: number }) => {
    throw attemptsMade + 1 < mostAttempts ? new Error('no') : new UnrecoverableError('enough');
  };
  const worker = new Worker(name, fail, { prefix, connection, concurrency: 50 });
  closers.push(() => worker.close().then(() => connection.disconnect()));
  worker.on('failed', (job) => {
    const { data, delay, finishedOn } = job ?? { data: {} };
    if (finishedOn === undefined) waits.set(data.name, [...(waits.get(data.name) ?? []), Math.max(0, delay ?? 0)]);
  });
  await untilEnded(place, asked.length);
  return waits;
}

type OnOutcome = NonNullable<ServeOptions['onOutcome']>;

/** Serves the queue by Islet, with the task in this process, or in a pool. */
async function serve(place: RedisPlace, pool: LoadableTask['pool'], onOutcome: OnOutcome): Promise<void> {
  const run = (_: unknown, { attempt }: { attempt: number }) => {
    throw attempt < mostAttempts ? new Error('no') : new PermanentError('enough');
  };
  const { close } = await serveTasks(place, { tasks: [{ manifest, run, pool }], onOutcome });
  closers.push(close);
}

async function runInIslet(place: RedisPlace, pool: LoadableTask['pool']): Promise<Waits> {
  const waits: Waits = new Map();
  await serve(place, pool, ({ input }, outcome) => {
    const { name } = input as { name: string };
    if (outcome.kind === 'retry') waits.set(name, [...(waits.get(name) ?? []), outcome.delayMs]);
  });
  await untilEnded(place, asked.length);
  return waits;
}

/** Rounds, since Islet waits for whole milliseconds. */
const rounded = (waits: Waits) =>
  Object.fromEntries(asked.map(([name]) => [name, (waits.get(name) ?? []).map(Math.round)]));

const pool = {
  waitMs: () => undefined,
  async run({ delivery }: PooledJob) {
    throw delivery.attempt < mostAttempts ? new Error('no') : new PermanentError('enough');
  },
} as unknown as UnitPool;

test.each<[string, LoadableTask['pool']]>([
  ['this process', undefined],
  ['a pool', pool],
])("jobs have the attempts and waits of their own options, as a plain Worker's, in %s", async (_, of) => {
  const [plain, islet] = places as [RedisPlace, RedisPlace];
  await Promise.all([addAll(plain), addAll(islet)]);
  const [expected, got] = await Promise.all([runPlainly(plain), runInIslet(islet, of)]);
  expect(rounded(got)).toEqual(rounded(expected));
  expect(rounded(got)).toMatchObject({
    nothing: [],
    exponential: [5, 10, 20, 40],
    'no end of attempts': { length: 6 },
  });
});

const unsupported: [string, unknown][] = [
  ['a custom strategy', { type: 'custom' }],
  ['the name of a method', { delay: 5, type: 'toString' }],
  ['a text', 'exponential'],
  ['a delay that is no number', { delay: 'long', type: 'fixed' }],
  ['no type', { delay: 5 }],
];

test.each(unsupported)(
  'a job that asks for %s fails without a run where it wants a second attempt',
  async (_, backoff) => {
    const [place] = places as [RedisPlace];
    const queue = place.queue('mail');
    const wanted = await queue.add('send', {}, { attempts: 3, backoff: backoff as never, removeOnFail: true });
    const single = await queue.add('send', {}, { backoff: backoff as never });
    const ends = new Map<string, Outcome>();
    await serve(place, undefined, ({ jobId }, outcome) => ends.set(jobId, outcome));
    await untilEnded(place, 2);
    const text = typeof backoff === 'string' ? backoff : JSON.stringify(backoff);
    expect((await queue.getJob(wanted.id ?? ''))?.failedReason).toBe(
      `E_JOB_OPTIONS_UNSUPPORTED: IsletError: Job "${wanted.id}" of task "send" (queue "mail") asks for 3 attempts with a ` +
        `backoff that Islet does not have: ${text}. It is kept as failed, and no code was run. Say \`retries: ` +
        '\'from-manifest\'` in the task\'s manifest and retry the job, or enqueue it again with a "fixed" or "exponential" backoff.',
    );
    expect(ends.get(single.id ?? '')).toMatchObject({ failure: { code: 'E_TASK_FAILED' } });
  },
);

test("a job that Islet's producer sent has the attempts and backoff of the manifest", async () => {
  const [place] = places as [RedisPlace];
  const producer = createProducer({ redis: place.url, prefix: place.prefix });
  closers.push(() => producer.close());
  const waits: (number | string)[] = [];
  await serve(place, undefined, (_, outcome) => waits.push(outcome.kind === 'retry' ? outcome.delayMs : outcome.kind));
  await producer.enqueue(manifest, {});
  await vi.waitFor(() => expect(waits).toEqual([3, 'failed']), 5_000);
});
