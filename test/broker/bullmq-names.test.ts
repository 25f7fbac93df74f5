import { type Job, Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  baseMark,
  deduplicationStart,
  delayedStep,
  eventArgs,
  jobFields,
  keyNames,
  lockSuffix,
  metaFields,
  neverReached,
  priorityStep,
  takenNames,
  tokenSeparator,
} from '../../src/broker/bullmq-names.ts';
import { runScript } from '../../src/broker/lua.ts';
import { limitQueue } from '../../src/broker/scripts.ts';
import { lockDuration, PlainBullmq, until } from '../support/plain-bullmq.ts';

let bull: PlainBullmq;

beforeEach(() => {
  bull = new PlainBullmq();
});

afterEach(() => bull.close());

describe('BullMQ keeps', () => {
  test.each([
    ['waiting jobs', keyNames.wait, 'list', () => bull.add()],
    ['active jobs', keyNames.active, 'list', () => bull.fetchNew()],
    ['jobs with a priority', keyNames.prioritized, 'zset', () => bull.add({ priority: 3 })],
    ['delayed jobs', keyNames.delayed, 'zset', () => bull.add({ delay: 60_000 })],
    ['completed jobs', keyNames.completed, 'zset', () => bull.complete()],
    ['failed jobs', keyNames.failed, 'zset', () => bull.fail()],
    ['parents', keyNames.waitingChildren, 'zset', async () => (await bull.addChild()).parent],
  ])('%s in the key "%s", which is a %s', async (_what, name, type, make) => {
    const { id } = await make();
    expect(await bull.redis.type(bull.key(name))).toBe(type);
    const key = bull.key(name);
    const held = type === 'list' ? bull.redis.lrange(key, 0, -1) : bull.redis.zrange(key, '0', '-1');
    expect(await held).toEqual([id]);
  });

  test('the jobs of a paused queue where they were, and counts those in "paused" as waiting', async () => {
    await bull.queue.pause();
    const job = await bull.add();
    expect(await bull.redis.lrange(bull.key(keyNames.wait), 0, -1)).toEqual([job.id]);
    await bull.redis.rename(bull.key(keyNames.wait), bull.key(keyNames.paused));
    expect(await job.isWaiting()).toBe(true);
  });

  test('nothing of a queue in a key that a job could have', () => {
    const names = Object.keys(bull.queue.keys).filter((name) => name !== '');
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !takenNames.includes(name))).toEqual([]);
  });

  test('the job that stands for a deduplication key in "de:<key>", until it has ended', async () => {
    const key = bull.key(`${deduplicationStart}once`);
    const job = await bull.fetchNew({ deduplication: { id: 'once' } });
    expect([await bull.redis.get(key), await bull.redis.pttl(key)]).toEqual([job.id, -1]);
    await job.moveToFailed(new Error('no'), 'tester:1', false);
    expect(await bull.redis.exists(key)).toBe(0);
  });

  test('the job that stands for a deduplication key with a ttl there for so long, also when it has ended', async () => {
    const job = await bull.complete({ deduplication: { id: 'once', ttl: 60_000 } });
    const key = bull.key(`${deduplicationStart}once`);
    expect(await bull.redis.get(key)).toBe(job.id);
    expect(await bull.redis.pttl(key)).toBeGreaterThan(50_000);
  });

  test('how many events it keeps in "opts.maxLenEvents" of "meta"', async () => {
    const options = { connection: bull.redis, prefix: bull.prefix, streams: { events: { maxLen: 77 } } };
    const written = () => bull.redis.hget(bull.key(keyNames.meta), metaFields.maxEvents);
    // The Queue that is opened last decides.
    await until(async () => expect(await written()).toBe('10000'));
    bull.closeLater(new Queue(bull.name, options));
    await until(async () => expect(await written()).toBe('77'));
  });

  test('the limit of a queue in "max" and "duration" of "meta"', async () => {
    await bull.queue.setGlobalRateLimit(5, 2_000);
    const { limitMax, limitDuration } = metaFields;
    expect(await bull.redis.hmget(bull.key(keyNames.meta), limitMax, limitDuration)).toEqual(['5', '2000']);
  });

  test('that it is paused in "paused" of "meta"', async () => {
    await bull.queue.pause();
    expect(await bull.redis.hexists(bull.key(keyNames.meta), metaFields.paused)).toBe(1);
    await bull.queue.resume();
    expect(await bull.redis.hexists(bull.key(keyNames.meta), metaFields.paused)).toBe(0);
  });

  test('when a delayed job is due in its score in "delayed"', async () => {
    const { id = '', timestamp } = await bull.add({ delay: 60_000 });
    const score = Number(await bull.redis.zscore(bull.key(keyNames.delayed), id));
    expect(Math.floor(score / delayedStep)).toBe(timestamp + 60_000);
  });

  test('the number of jobs with a priority in "pc"', async () => {
    await bull.add({ priority: 1 });
    await bull.add({ priority: 1 });
    expect(await bull.redis.get(bull.key(keyNames.priorityCounter))).toBe('2');
  });
});

describe('BullMQ fetches', () => {
  test('the last job of "wait" first', async () => {
    const jobs = [await bull.add(), await bull.add()];
    expect(await bull.redis.lrange(bull.key(keyNames.wait), 0, -1)).toEqual([jobs[1]?.id, jobs[0]?.id]);
    expect((await bull.fetch()).id).toBe(jobs[0]?.id);
  });

  test('the lowest score of "prioritized" first, which is the priority times 2^32 and the number of the job', async () => {
    const jobs = [await bull.add({ priority: 3 }), await bull.add({ priority: 3 }), await bull.add({ priority: 2 })];
    const scores = await bull.redis.zmscore(bull.key(keyNames.prioritized), ...jobs.map(({ id }) => id ?? ''));
    expect(scores.map(Number)).toEqual([3 * priorityStep + 1, 3 * priorityStep + 2, 2 * priorityStep + 3]);
    const fetched = [await bull.fetch(), await bull.fetch(), await bull.fetch()];
    expect(fetched.map(({ id }) => id)).toEqual([jobs[2]?.id, jobs[0]?.id, jobs[1]?.id]);
  });

  test('a job with its lock: the token in "<key of the job>:lock", for the duration of the lock', async () => {
    const { id } = await bull.fetchNew();
    const lock = `${bull.key(id ?? '')}${lockSuffix}`;
    expect(await bull.redis.get(lock)).toBe('tester:1');
    const left = await bull.redis.pttl(lock);
    expect([left <= lockDuration, left > lockDuration - 5_000]).toEqual([true, true]);
  });

  test('for a Worker with tokens of its id, ":" and a number', async () => {
    const { id } = await bull.add();
    let token: string | null = null;
    const run = async () => {
      token = await bull.redis.get(`${bull.key(id ?? '')}${lockSuffix}`);
    };
    const worker = bull.openWorker({}, run);
    worker.run();
    await until(() => expect(token).not.toBeNull());
    const [workerId, number, ...rest] = String(token).split(tokenSeparator);
    expect([workerId, rest]).toEqual([worker.id, []]);
    expect(number).toMatch(/^\d+$/);
  });

  test('no job while the limiter holds what is never reached, and a maximum is set', async () => {
    await bull.queue.setGlobalRateLimit(5, 1_000);
    await bull.queue.rateLimit(20_000);
    const key = bull.key(keyNames.limiter);
    expect(await bull.redis.get(key)).toBe(neverReached);
    expect(await bull.redis.pttl(key)).toBeGreaterThan(15_000);
    await bull.add();
    await expect(bull.fetch()).rejects.toThrow('fetched no job');
  });

  test('no job of a queue that Islet limits, and knows how long', async () => {
    await bull.add();
    await runScript(bull.redis, limitQueue, [bull.key(keyNames.meta), bull.key(keyNames.limiter)], [20_000]);
    await expect(bull.fetch()).rejects.toThrow('fetched no job');
    expect(await bull.queue.getRateLimitTtl()).toBeGreaterThan(15_000);
  });
});

type Made = () => Promise<Job>;
/** A property of the job that BullMQ reads, or the text itself. */
type Expected = keyof Job | (() => unknown);

describe('BullMQ writes', () => {
  const fields: [what: string, field: string, make: Made, expected: Expected][] = [
    ['its name', jobFields.name, () => bull.add(), () => 'send'],
    ['its payload as JSON', jobFields.payload, () => bull.add(), () => '{"to":"a"}'],
    ['its options as JSON', jobFields.options, () => bull.add(), () => expect.stringMatching(/^\{.*"attempts":0.*\}$/)],
    ['when it was made', jobFields.timestamp, () => bull.add(), 'timestamp'],
    ['its delay', jobFields.delay, () => bull.add({ delay: 60_000 }), () => '60000'],
    ['its priority', jobFields.priority, () => bull.add({ priority: 3 }), () => '3'],
    ['how often it was fetched', jobFields.starts, () => bull.fetchNew(), 'attemptsStarted'],
    ['the name of the worker that fetched it', jobFields.worker, () => bull.fetchNew(), () => 'tester'],
    ['when it was fetched', jobFields.startedAt, () => bull.fetchNew(), 'processedOn'],
    ['how often it has ended', jobFields.attempts, () => bull.fail({ attempts: 2 }), 'attemptsMade'],
    ['when it ended for good', jobFields.endedAt, () => bull.fail(), 'finishedOn'],
    ['why it failed', jobFields.failedReason, () => bull.fail(), () => 'no'],
    ['its result as JSON', jobFields.returnValue, () => bull.complete(), () => '"sent"'],
    ['its stacks as JSON', jobFields.stacktrace, () => bull.fail(), () => expect.stringMatching(/^\["Error: no.*"\]$/)],
    ['how often it stalled', jobFields.stalls, () => bull.stall(), 'stalledCounter'],
    ['why it is to fail', jobFields.deferredFailure, () => bull.stall(), 'deferredFailure'],
    ['its scheduler', jobFields.scheduler, () => bull.schedule('often'), () => 'often'],
    [
      'its deduplication key',
      jobFields.deduplicationId,
      () => bull.add({ deduplication: { id: 'once' } }),
      () => 'once',
    ],
    ['the key of its parent', jobFields.parentKey, async () => (await bull.addChild()).child, 'parentKey'],
  ];

  test.each(fields)('of a job %s into its field "%s"', async (_what, field, make, expected) => {
    const job = await make();
    const read = await bull.read(job);
    const value = typeof expected === 'string' ? String(read[expected]) : expected();
    expect((await bull.hash(job))[field]).toEqual(value);
    expect(value).not.toBe('undefined');
  });

  test('the parent of a job as JSON into its field "parent"', async () => {
    const { child } = await bull.addChild();
    const { parent } = await bull.read(child);
    expect(parent).toBeDefined();
    expect(JSON.parse((await bull.hash(child))[jobFields.parent] ?? '')).toEqual(parent);
  });

  test('the progress of a job as JSON into its field "progress"', async () => {
    const job = await bull.add();
    await job.updateProgress({ done: 1 });
    expect((await bull.hash(job))[jobFields.progress]).toBe('{"done":1}');
  });

  test('when a job failed as its score in "failed", too', async () => {
    const job = await bull.fail();
    const score = await bull.redis.zscore(bull.key(keyNames.failed), job.id ?? '');
    expect(score).toBe((await bull.hash(job))[jobFields.endedAt]);
  });

  test('a mark into "marker" when a job may start: the member "0" with the score 0', async () => {
    await bull.add();
    const marks = await bull.redis.zrange(bull.key(keyNames.marker), '0', '-1', 'WITHSCORES');
    expect(marks).toEqual([baseMark.member, String(baseMark.score)]);
  });
});

describe("BullMQ's QueueEvents reads what Islet tells, as an event", () => {
  test.each([
    ['waiting', eventArgs.waiting('active'), { jobId: 'one', prev: 'active' }],
    ['waiting', eventArgs.waiting('failed'), { jobId: 'one', prev: 'failed' }],
    ['stalled', eventArgs.stalled, { jobId: 'one' }],
    ['failed', eventArgs.failed('ARGV[2]'), { jobId: 'one', failedReason: 'no' }],
  ] as const)('"%s", by XADD of %s', async (event, args, told) => {
    const lua = `local id = ARGV[1] redis.call('XADD', KEYS[1], '*', ${args})`;
    await bull.redis.eval(lua, 1, bull.key(keyNames.events), 'one', 'no');
    const connection = new Redis(bull.url, { maxRetriesPerRequest: null });
    const options = { connection, prefix: bull.prefix, lastEventId: '0-0' };
    const events = bull.closeLater(new QueueEvents(bull.name, options));
    const heard: unknown[] = [];
    events.on(event, (fields: unknown) => heard.push(fields));
    await until(() => expect(heard).toEqual([told]));
    connection.disconnect();
  });
});
