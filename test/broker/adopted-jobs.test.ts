import { randomUUID } from 'node:crypto';
import { FlowProducer, Queue } from 'bullmq';
import { FlowProducer as FlowProducer5, Queue as Queue5 } from 'bullmq-5';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { workerClientName } from '../../src/broker/bullmq-internals.ts';
import {
  flows,
  kinds,
  Mailer,
  type PlainProducer,
  type Serve,
  type Start,
  servePlainly,
  serveWithIslet,
} from '../support/adopted-queue.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 15_000, interval: 20 });

/** What is left of the queue when all of its jobs have ended, and what happened on the way. */
interface Course {
  readonly starts: readonly Start[];
  readonly jobs: Readonly<Record<string, string>>;
  readonly parents: Readonly<Record<string, unknown>>;
  readonly scheduled: number;
  readonly keyIsFree: boolean;
  readonly lateMs: number;
}

let place: RedisPlace;
let redis: Redis;

beforeAll(() => {
  place = openRedisPlace();
  redis = new Redis(place.url, { maxRetriesPerRequest: null });
});

afterAll(async () => {
  redis.disconnect();
  await place.close();
});

function openProducer(version: 5 | 6, prefix: string): PlainProducer & { close(): Promise<void> } {
  const connection = { url: place.url };
  // What is used here of the two versions has the same types.
  const [MakeQueue, MakeFlow] = (version === 5 ? [Queue5, FlowProducer5] : [Queue, FlowProducer]) as unknown as [
    typeof Queue,
    typeof FlowProducer,
  ];
  const queue = new MakeQueue('Send_Mail', { prefix, connection });
  const flow = new MakeFlow({ prefix, connection });
  return {
    queue,
    flow,
    async close() {
      await Promise.all([queue.close(), flow.close()]);
    },
  };
}

/** Fills the queue before anybody serves it, has it served, and reads what came of it. */
async function runAll(version: 5 | 6, by: string, serve: Serve): Promise<Course> {
  const prefix = `${place.prefix}:${by}${version}`;
  const { queue, flow, close } = openProducer(version, prefix);
  const addedAt: Record<string, number> = {};
  for (const [label, { options, failures }] of Object.entries(kinds)) {
    addedAt[label] = performance.now();
    await queue.add(
      label === 'waiting' ? '__default__' : 'sendMail',
      { label, failures },
      { ...options, jobId: label },
    );
  }
  const second = await queue.add('sendMail', { label: 'second' }, { deduplication: { id: 'once' }, jobId: 'second' });
  expect(second.id).toBe('deduplicated');
  for (const one of flows) await flow.add(one);
  await queue.upsertJobScheduler('tick', { every: 250, limit: 3 }, { name: 'sendMail', data: { label: 'tick' } });
  const mailer = new Mailer();
  const served = await serve(prefix, mailer);
  const key = (name: string) => queue.toKey(name);
  const count = async (...names: string[]) => {
    const counts = await Promise.all(
      names.map((name) => redis.call(name === 'wait' || name === 'active' ? 'LLEN' : 'ZCARD', key(name))),
    );
    return counts.reduce((sum: number, one) => sum + Number(one), 0);
  };
  await until(async () => expect(await count('wait', 'active', 'delayed', 'prioritized', 'waiting-children')).toBe(0));
  await served.close();
  const labels = [
    ...Object.keys(kinds),
    'second',
    'parent',
    'child-a',
    'child-b',
    'parent-failed',
    'child-failing',
    'parent-ignoring',
    'child-ignored',
  ];
  const jobs = await Promise.all(labels.map(async (label) => [label, await readEnd(key, label)] as const));
  const parents = ['parent', 'parent-ignoring'].map(async (id) => {
    const values = await (await new Queue('Send_Mail', { prefix, connection: redis }).getJob(id))?.getChildrenValues();
    return [
      id,
      Object.values(values ?? {})
        .map((value) => JSON.stringify(value))
        .sort(),
    ] as const;
  });
  const late = mailer.starts.find(({ label }) => label === 'late');
  const course: Course = {
    starts: mailer.starts,
    jobs: Object.fromEntries(jobs),
    parents: Object.fromEntries(await Promise.all(parents)),
    scheduled: mailer.starts.filter(({ label }) => label === 'tick').length,
    keyIsFree: (await redis.exists(key('de:once'))) === 0,
    lateMs: (late?.at ?? 0) - (addedAt.late ?? 0),
  };
  await close();
  return course;
}

/** Tells where a job has ended, after how many attempts, and with what. */
async function readEnd(key: (name: string) => string, id: string): Promise<string> {
  const [isCompleted, isFailed] = await Promise.all([
    redis.zscore(key('completed'), id),
    redis.zscore(key('failed'), id),
  ]);
  const [attempts, value, reason] = await redis.hmget(key(id), 'atm', 'returnvalue', 'failedReason');
  const state = isCompleted ? 'completed' : isFailed ? 'failed' : 'gone';
  // What failed reasons say in each library, without Islet's code and the name of the error.
  const why = reason?.replace(/^E_[A-Z_]+: Error: /, '').replace(/child \S+ failed/, 'child failed');
  return [state, attempts, isCompleted ? value : undefined, isFailed ? why : undefined].filter(Boolean).join(' ');
}

const orderOf = ({ starts }: Course, labels: readonly string[]) =>
  starts.map(({ label }) => label).filter((label, at, all) => labels.includes(label) && all.indexOf(label) === at);

const waitsOf = ({ starts }: Course, wanted: string) => {
  const own = starts.filter(({ label }) => label === wanted);
  return own.slice(1).map(({ at }, index) => at - (own[index]?.at ?? 0));
};

describe.each([5, 6] as const)('jobs that BullMQ %i has made', (version) => {
  let plain: Course;
  let islet: Course;

  beforeAll(async () => {
    [plain, islet] = await Promise.all([
      runAll(version, 'plain', servePlainly(redis)),
      runAll(version, 'islet', serveWithIslet(place.url)),
    ]);
  }, 30_000);

  test('end as with a plain worker: the same state, attempts, result and reason', () => {
    expect(islet.jobs).toEqual(plain.jobs);
    expect(Object.values(plain.jobs)).toContain('completed 3 {"sent":"three-attempts"}');
  });

  test('start in the same order', () => {
    const ready = [
      'waiting',
      'waiting-too',
      'lifo',
      'one-attempt',
      'prioritized-1',
      'prioritized-2',
      'removed-on-complete',
    ];
    expect(orderOf(islet, ready)).toEqual(orderOf(plain, ready));
    expect(orderOf(plain, ready).slice(0, 3)).toEqual(['lifo', 'waiting', 'waiting-too']);
    expect(orderOf(islet, ['parent', 'child-a', 'child-b']).at(-1)).toBe('parent');
  });

  test('are tried as often, and wait as long between two attempts', () => {
    for (const label of Object.keys(kinds)) {
      const attempts = (course: Course) =>
        course.starts.filter((start) => start.label === label).map(({ attempt }) => attempt);
      expect([label, attempts(islet)]).toEqual([label, attempts(plain)]);
    }
    for (const [label, least] of [
      ['three-attempts', [20, 20]],
      ['exponential', [20, 40, 80]],
    ] as const) {
      for (const course of [plain, islet]) {
        // A timer of BullMQ's may fire a millisecond early.
        for (const [at, wait] of waitsOf(course, label).entries())
          expect(wait).toBeGreaterThanOrEqual((least[at] ?? 0) - 2);
      }
    }
  });

  test('wait for their delay, tell their parents, go on by their scheduler, and free their key', () => {
    // Delays are counted in whole milliseconds.
    expect(islet.lateMs).toBeGreaterThan(295);
    expect(islet.parents).toEqual(plain.parents);
    expect(islet.parents).toMatchObject({ parent: ['{"sent":"child-a"}', '{"sent":"child-b"}'] });
    expect([islet.scheduled, plain.scheduled]).toEqual([3, 3]);
    expect([islet.keyIsFree, plain.keyIsFree]).toEqual([true, true]);
  });
});

describe('what is set for the whole queue by plain BullMQ holds', () => {
  let queue: Queue;
  let prefix: string;

  beforeEach(async () => {
    prefix = `${place.prefix}:${randomUUID()}`;
    queue = new Queue('Send_Mail', { prefix, connection: redis });
    const labels = ['a', 'b', 'c', 'd', 'e', 'f'];
    await queue.addBulk(labels.map((label) => ({ name: 'sendMail', data: { label } })));
  });

  const serve = (of: Mailer) => serveWithIslet(place.url, 5)(prefix, of);

  test('a pause', async () => {
    await queue.pause();
    const paused = new Mailer();
    const served = await serve(paused);
    // The worker waits for a job, so it has found none.
    const name = workerClientName({ prefix, name: 'Send_Mail' }, process.pid);
    const waits = new RegExp(`name=${name} .*cmd=bzpopmin`);
    await until(async () => expect(await redis.client('LIST')).toMatch(waits));
    expect(paused.starts).toEqual([]);
    await queue.resume();
    await until(() => expect(paused.starts).toHaveLength(6));
    await served.close();
  });

  test('a global concurrency', async () => {
    await queue.setGlobalConcurrency(1);
    const single = new Mailer();
    const served = await serve(single);
    await until(() => expect(single.starts).toHaveLength(6));
    expect(single.peak).toBe(1);
    await served.close();
  });

  test('a global rate limit', async () => {
    await queue.setGlobalRateLimit(2, 400);
    const limited = new Mailer();
    const served = await serve(limited);
    await until(() => expect(limited.starts).toHaveLength(6));
    const [first, last] = [limited.starts[0]?.at ?? 0, limited.starts[5]?.at ?? 0];
    expect(last - first).toBeGreaterThan(700);
    await served.close();
  });
});
