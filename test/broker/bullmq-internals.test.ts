import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { ErrorCode, Job, type JobJson, type JobsOptions, type MinimalJob, RedisQueueBackend } from 'bullmq';
import { type ChainableCommander, Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  addArgumentCount,
  decodeFetch,
  type FetchReply,
  findScript,
  finishHoles,
  finishKeyCount,
  passUndecoded,
  workerClientName,
} from '../../src/broker/bullmq-internals.ts';
import { jobFields, keyNames, lockSuffix } from '../../src/broker/bullmq-names.ts';
import { JobBackend } from '../../src/broker/job-backend.ts';
import { readStamp } from '../../src/broker/job-options.ts';
import { placeOf } from '../../src/broker/keys.ts';
import { PlainBullmq } from '../support/plain-bullmq.ts';

type Command = Parameters<RedisQueueBackend['execCommand']>;

/** Remembers what Redis answered last. */
class RememberingBackend extends RedisQueueBackend {
  command: string | undefined;
  args: unknown[] = [];
  reply: unknown;

  get bullmqVersion(): string {
    return this.version;
  }

  override async execCommand(...args: Command): Promise<unknown> {
    [, this.command, this.args] = args;
    this.reply = await super.execCommand(...args);
    return this.reply;
  }
}

/** Leads what Redis answers past BullMQ's decoder, as Islet does. */
class UndecodedBackend extends RememberingBackend {
  override async execCommand(...args: Command): Promise<unknown> {
    return passUndecoded(args[1], await super.execCommand(...args));
  }
}

let bull: PlainBullmq;

beforeEach(() => {
  bull = new PlainBullmq();
});

afterEach(() => bull.close());

/** Opens BullMQ's scripts of the queue, over the connection of the test. */
function openBackend<Backend extends RedisQueueBackend>(
  Kind: new (...parts: ConstructorParameters<typeof RedisQueueBackend>) => Backend,
): Backend {
  return bull.closeLater(new Kind(...bull.backendParts(bull.options)));
}

const fetch = (backend: RedisQueueBackend) => backend.moveToActive('tester:1', 'tester') as Promise<unknown>;

const minimal = ({ id }: Job) => ({ id, opts: { attempts: 0 } }) as MinimalJob;
const keep = { count: 10 };

type End = (backend: RedisQueueBackend, job: Job, fetchNext: boolean) => Promise<unknown>;

/** Functions that end a job which was fetched with "tester:1", and return what that brought. */
const end = {
  moveToCompleted: async (backend, job, next) =>
    (await backend.moveToCompleted(minimal(job), null, keep, 'tester:1', next)).result,
  moveToFailed: async (backend, job, next) =>
    (await backend.moveToFailed(minimal(job), 'no', keep, 'tester:1', next, { [jobFields.failedReason]: 'no' })).result,
  moveToDelayed: (backend, { id = '' }, fetchNext) =>
    backend.moveToDelayed(id, Date.now(), 60_000, 'tester:1', { fetchNext }),
} satisfies Record<string, End>;

const endings: [call: string, command: string, end: End][] = [
  ['moveToCompleted', 'moveToFinished', end.moveToCompleted],
  ['moveToFailed', 'moveToFinished', end.moveToFailed],
  ['moveToDelayed', 'moveToDelayed', end.moveToDelayed],
];

function toAdd(more: Partial<JobJson>): JobJson {
  const { deduplicationId: id } = more;
  const json = { name: 'send', data: '{"to":"a"}', opts: id ? { deduplication: { id } } : {}, timestamp: Date.now() };
  return { ...json, ...more } as JobJson;
}

test('the BullMQ that is tested is the one that was asked for', () => {
  const installed = JSON.parse(readFileSync('node_modules/bullmq/package.json', 'utf8')).version;
  expect(openBackend(RememberingBackend).bullmqVersion).toBe(process.env.ISLET_BULLMQ ?? installed);
  // The code has no other copy of BullMQ.
  expect(JobBackend.prototype instanceof RedisQueueBackend).toBe(true);
});

describe('a fetch is answered', () => {
  const answer = async () => {
    const backend = openBackend(RememberingBackend);
    await fetch(backend);
    expect(backend.command).toBe('moveToActive');
    return backend.reply;
  };

  test('with the hash of the job as names and values in turn, its id, and no times', async () => {
    const job = await bull.add();
    const reply = await answer();
    expect(reply).toEqual([Object.entries(await bull.hash(job)).flat(), job.id, 0, 0]);
  });

  test('with nothing four times, without a job', async () => {
    expect(await answer()).toEqual([0, 0, 0, 0]);
  });

  test('with the milliseconds for which the queue gives no job in the third place', async () => {
    await bull.queue.setGlobalRateLimit(5, 1_000);
    await bull.queue.rateLimit(20_000);
    await bull.add();
    const reply = (await answer()) as number[];
    expect(reply).toEqual([0, 0, expect.any(Number), 0]);
    expect([Number(reply[2]) > 15_000, Number(reply[2]) <= 20_000]).toEqual([true, true]);
  });

  test('with the time at which the next delayed job is due in the fourth place, in milliseconds since 1970', async () => {
    const { timestamp } = await bull.add({ delay: 60_000 });
    const reply = (await answer()) as unknown[];
    expect(reply.slice(0, 3)).toEqual([0, 0, 0]);
    expect(Number(reply[3])).toBe(timestamp + 60_000);
  });
});

describe.each(endings)('%s', (_call, command, end) => {
  test(`runs "${command}", which answers like a fetch, and locks the next job for the same token`, async () => {
    const job = await bull.fetchNew();
    const next = await bull.add();
    const backend = openBackend(RememberingBackend);
    await end(backend, job, true);
    expect([backend.command, backend.reply]).toEqual([
      command,
      [Object.entries(await bull.hash(next)).flat(), next.id, 0, 0],
    ]);
    expect(await bull.redis.get(`${bull.key(next.id ?? '')}${lockSuffix}`)).toBe('tester:1');
    expect((await bull.hash(next))[jobFields.worker]).toBe('tester');
  });

  test('brings what its script answered, untouched, when that stands second', async () => {
    const job = await bull.fetchNew();
    await bull.add();
    const backend = openBackend(UndecodedBackend);
    const brought = (await end(backend, job, true)) as unknown[];
    expect(backend.reply).toHaveLength(4);
    expect(brought[1]).toBe(backend.reply);
  });

  test('brings nothing when it is to fetch no job', async () => {
    const job = await bull.fetchNew();
    await bull.add();
    expect(await end(openBackend(UndecodedBackend), job, false)).toHaveLength(0);
  });

  test.each([
    ['JobNotExist', 'job is gone', (id: string) => bull.redis.unlink(bull.key(id))],
    ['JobLockNotExist', 'lock is gone', (id: string) => bull.redis.unlink(`${bull.key(id)}${lockSuffix}`)],
    [
      'JobLockMismatch',
      'lock is held by another',
      (id: string) => bull.redis.set(`${bull.key(id)}${lockSuffix}`, 'a:1'),
    ],
    ['JobNotInState', 'job is not active', (id: string) => bull.redis.lrem(bull.key(keyNames.active), 0, id)],
  ] as const)('throws an error with the code %s when the %s', async (code, _when, spoil) => {
    const job = await bull.fetchNew();
    await spoil(job.id ?? '');
    const ended = end(openBackend(UndecodedBackend), job, true);
    await expect(ended).rejects.toMatchObject({ code: ErrorCode[code] });
  });
});

describe('moveToFinished', () => {
  class ArguingBackend extends RememberingBackend {
    argumentsOf(id: string, token: string, at: number) {
      const job = { id, opts: { attempts: 0 } } as MinimalJob;
      return [...this.moveToFinishedArgs(job, 'null', 'returnvalue', keep, 'completed', token, at, true)];
    }
  }

  test('takes what Islet fills in where it does, and nothing else changes between two jobs', () => {
    const backend = openBackend(ArguingBackend);
    const [one, two] = [backend.argumentsOf('one', 'tester:1', 1), backend.argumentsOf('two', 'tester:2', 2)];
    const changed = one.flatMap((value, index) => (isDeepStrictEqual(value, two[index]) ? [] : [index]));
    // The script's hash and the number of its keys come first.
    const holes = finishHoles('tester:1').map(({ argument }) => argument - 2);
    expect(changed).toEqual(holes);
    const [key, id, at, options] = holes.map((index) => one[index]);
    expect([key, id, Number(at)]).toEqual([bull.key('one'), 'one', 1]);
    const textOf = (value: unknown) => (value as Buffer).toString('latin1');
    expect(textOf(options).split('tester:1')).toHaveLength(2);
    expect(textOf(options).replace('tester:1', 'tester:2')).toBe(textOf(two[holes[3] ?? 0]));
    expect(key).toBe(one[finishKeyCount - 3]);
    expect(id).toBe(one[finishKeyCount]);
  });

  test('answers with a number below 0 when it refuses, of which finishedErrors makes the error with that code', async () => {
    const job = await bull.fetchNew();
    await bull.redis.unlink(`${bull.key(job.id ?? '')}${lockSuffix}`);
    const backend = openBackend(RememberingBackend);
    await expect(end.moveToCompleted(backend, job, true)).rejects.toThrow();
    const code = backend.reply as number;
    expect(code).toBe(ErrorCode.JobLockNotExist);
    expect(code).toBeLessThan(0);
    const { id: jobId = '' } = job;
    const error = backend.finishedErrors({ code, jobId, command: 'moveToFinished', state: 'active' });
    expect(error).toMatchObject({ code, message: expect.stringContaining(jobId) });
  });
});

test('moveToActive brings what its script answered, untouched, when that stands second', async () => {
  await bull.add();
  const backend = openBackend(UndecodedBackend);
  const brought = (await fetch(backend)) as unknown[];
  expect(backend.reply).toHaveLength(4);
  expect([brought[0], brought[1] === backend.reply]).toEqual([null, true]);
});

describe('settling', () => {
  const settled = 'i:settled';

  test('moveToFailed writes further fields into the hash of the job', async () => {
    const job = await bull.fetchNew();
    const fields = { [settled]: 1, [jobFields.failedReason]: 'no', [jobFields.stacktrace]: '["where"]' };
    await openBackend(RedisQueueBackend).moveToFailed(minimal(job), 'no', keep, 'tester:1', false, fields);
    expect(await bull.hash(job)).toMatchObject({ ...fields, [settled]: '1' });
    expect(await bull.read(job)).toMatchObject({ failedReason: 'no', stacktrace: ['where'] });
  });

  test.each([
    ['counts an attempt', false, 1],
    ['counts no attempt with skipAttempt', true, 0],
  ])('moveToDelayed writes further fields into the hash of the job, and %s', async (_what, skipAttempt, attempts) => {
    const job = await bull.fetchNew();
    const options = { skipAttempt, fieldsToUpdate: { [settled]: 1 }, fetchNext: false };
    await openBackend(RedisQueueBackend).moveToDelayed(job.id ?? '', Date.now(), 60_000, 'tester:1', options);
    expect((await bull.hash(job))[settled]).toBe('1');
    const read = await bull.read(job);
    expect([read.attemptsMade, await read.getState()]).toEqual([attempts, 'delayed']);
  });

  test('updateProgress takes the id of a job', async () => {
    const job = await bull.fetchNew();
    await openBackend(RedisQueueBackend).updateProgress(job.id ?? '', { done: 1 });
    expect((await bull.read(job)).progress).toEqual({ done: 1 });
  });

  test('moveToCompleted throws an error with the code JobPendingChildren for a parent', async () => {
    const parent = await bull.fetchNew();
    await bull.add({ parent: { id: parent.id ?? '', queue: bull.queue.qualifiedName } });
    const ended = openBackend(RedisQueueBackend).moveToCompleted(minimal(parent), null, keep, 'tester:1', false);
    await expect(ended).rejects.toMatchObject({ code: ErrorCode.JobPendingChildren });
  });

  test('a backend that is closed leaves a shared connection open', async () => {
    await openBackend(RedisQueueBackend).close(true);
    expect(await bull.redis.ping()).toBe('PONG');
  });
});

describe('a job that was fetched is decoded as BullMQ decodes it', () => {
  const properties = [
    ...['id', 'name', 'progress', 'delay', 'priority', 'timestamp', 'attemptsStarted', 'attemptsMade'],
    ...['stalledCounter', 'processedOn', 'repeatJobKey', 'deduplicationId', 'deferredFailure', 'parentKey', 'parent'],
    'processedBy',
  ];
  const pick = (job: object) => properties.map((name) => [name, Reflect.get(job, name)]);

  const made: [what: string, make: () => Promise<Job>][] = [
    ['plain', () => bull.add()],
    ['one that was tried before', () => bull.fail({ attempts: 2 })],
    ['one that stalled', () => bull.stall()],
    ['one with a parent', async () => (await bull.addChild({ failParentOnFailure: true })).child],
    ['one of a scheduler', () => bull.schedule('often')],
    ['one with a priority', () => bull.add({ priority: 3 })],
    ['one with a deduplication key', () => bull.add({ deduplication: { id: 'once' } })],
  ];

  test.each(made)('%s', async (_what, make) => {
    const job = await make();
    await job.updateProgress({ done: 1 });
    const reply = (await fetch(openBackend(UndecodedBackend))) as FetchReply;
    const { job: decoded } = decodeFetch(reply, 'tester:1', 0);
    const read = await bull.read(job);
    expect(pick(decoded ?? {})).toEqual(pick(read));
    expect(decoded?.data).toEqual(read.data);
    expect(decoded?.failedReason || undefined).toBe(read.failedReason || undefined);
    expect(JSON.parse(decoded?.stacktrace ?? '[]')).toEqual(read.stacktrace);
    // BullMQ's Job takes this option out.
    const { repeatJobKey: _, ...options } = { missing: !decoded, ...decoded?.opts } as Record<string, unknown>;
    expect({ missing: false, ...read.opts }).toMatchObject(options);
  });

  test('and can be made a Job of, without its payload', async () => {
    await bull.add();
    const reply = (await fetch(openBackend(UndecodedBackend))) as FetchReply;
    const { job: decoded } = decodeFetch(reply, 'tester:1', 0);
    if (!decoded) throw new Error('nothing was fetched');
    const json = { ...decoded, data: '{}', progress: 0, returnvalue: undefined as never };
    const job = Job.fromJSON(bull.queue, json, decoded.id);
    expect(job).toMatchObject({ id: decoded.id, name: 'send', data: {}, attemptsStarted: 1, processedBy: 'tester' });
  });

  test('with its options, which are stored in another form, and with what Islet stored among them', async () => {
    const stamp = { version: 3, keepResultMs: 4 };
    const options = { failParentOnFailure: true, keepLogs: 2, removeOnFail: 5, islet: stamp };
    const job = await bull.add(options as JobsOptions);
    const stored = (await bull.hash(job))[jobFields.options] ?? '';
    expect(Job.optsFromJSON(stored)).toMatchObject(options);
    expect(JSON.parse(stored)).not.toMatchObject(options);
    expect(readStamp(JSON.parse(stored))).toEqual(stamp);
  });
});

describe('BullMQ', () => {
  test('answers in a transaction with the ids of jobs, or a number below 0', async () => {
    const backend = openBackend(RedisQueueBackend);
    const batch = (await backend.client).multi();
    await backend.addJobToTransaction(batch, toAdd({ deduplicationId: 'once' }), 'one');
    (batch as unknown as ChainableCommander).exists(bull.key('one'), bull.key('two'));
    await backend.addJobToTransaction(batch, toAdd({ deduplicationId: 'once' }), 'two');
    await backend.addJobToTransaction(batch, toAdd({ parentKey: bull.key('gone') }), 'three');
    const replies = [
      [null, 'one'],
      [null, 1],
      [null, 'one'],
      [null, ErrorCode.ParentJobNotExist],
    ];
    expect(await batch.exec()).toEqual(replies);
    expect(ErrorCode.ParentJobNotExist).toBeLessThan(0);
  });

  test.each([
    ['a plain job', {}],
    ['a delayed job', { delay: 60_000 }],
    ['a job with a priority', { priority: 3 }],
  ])('takes three arguments behind the keys of the script that adds %s', async (_what, opts) => {
    const backend = openBackend(RememberingBackend);
    const client = await backend.client;
    expect(await backend.addJobToTransaction(client, toAdd({ opts }), 'one')).toBe('one');
    const scripts = bull.redis.scriptsSet as Record<string, { numberOfKeys?: number }>;
    const { numberOfKeys } = scripts[`${backend.command}:${backend.bullmqVersion}`] ?? {};
    expect(backend.args).toHaveLength(Number(numberOfKeys) + addArgumentCount);
    expect(backend.args.at(-2)).toBe('{"to":"a"}');
    expect((await bull.queue.getJob('one'))?.data).toEqual({ to: 'a' });
  });

  test('defines its scripts on a client by their name and its version, with the hash by which Redis knows them', async () => {
    const backend = openBackend(RememberingBackend);
    await end.moveToCompleted(backend, await bull.fetchNew(), false);
    const script = findScript(bull.redis, `${backend.command}:${backend.bullmqVersion}`);
    expect(backend.command).toBe('moveToFinished');
    expect(await bull.redis.script('EXISTS', script?.sha ?? '')).toEqual([1]);
    expect(await bull.redis.script('LOAD', script?.lua ?? '')).toBe(script?.sha);
    expect(backend.args.length).toBeGreaterThan(finishKeyCount);
  });

  test('counts the connections that have the name of a worker', async () => {
    expect(await bull.queue.getWorkersCount()).toBe(0);
    const connectionName = workerClientName(placeOf({ name: 'facts' }, bull.prefix), 12);
    const connection = new Redis(bull.url, { connectionName });
    await connection.ping();
    expect((await bull.queue.getWorkers()).map(({ rawname }) => rawname)).toEqual([connectionName]);
    expect(await bull.queue.getWorkersCount()).toBe(1);
    connection.disconnect();
  });
});
