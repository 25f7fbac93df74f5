import { readdirSync, readFileSync } from 'node:fs';
import type { Job } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { placeOf, queueKey } from '../../src/broker/keys.ts';
import { memoryFields } from '../../src/broker/memory.ts';
import { createProducer, type Producer, type ResultHandle } from '../../src/producer.ts';
import again from '../fixtures/pools/tasks/again/manifest.ts';
import inProcess from '../fixtures/pools/tasks/in-process/manifest.ts';
import inThread from '../fixtures/pools/tasks/in-thread/manifest.ts';
import { fixtureApp, type IsletProcess, killAll, type LogLine, startIslet } from '../support/islet-process.ts';
import { carried } from '../support/json-values.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const timeoutMs = 1_500;
const clean = { code: 0, signal: null };
const meta = { tenant: 'acme', token: 'hunter2' };
const kinds = ['in-thread', 'in-process'] as const;

let place: RedisPlace;
let client: Redis;
let producer: Producer;

function open(): void {
  place = openRedisPlace();
  client = new Redis(place.url);
  producer = createProducer({ redis: place.url, prefix: place.prefix, meta: () => meta });
}

async function close(): Promise<void> {
  await killAll();
  await producer.close();
  client.disconnect();
  await place.close();
}

describe.each(kinds)('a task %s', (task) => {
  // Most of a worker's start is the trial of its units, and each test knows its own jobs.
  let worker: IsletProcess;

  beforeAll(async () => {
    open();
    worker = await startWorker();
  });

  afterAll(close);

  test('has the same context: dependencies, log, progress, enqueue', async () => {
    const job = await enqueue(task, 'use-context');
    const heard: unknown[] = [];
    const onProgress = (progress: unknown) => void heard.push(progress);
    const { id, ...rest } = (await job.result({ timeoutMs: 20_000, onProgress })) as { id: string };
    expect(rest).toEqual({ greeting: 'hello', attempt: 1 });
    expect(heard.at(-1)).toEqual({ half: false });
    await worker.outcome(id, 'completed');
    expect(worker.lines({ msg: 'Beside', jobId: id })).toMatchObject([{ meta }]);
    expect(worker.lines({ msg: 'Acting', jobId: job.id })).toMatchObject([{ queue: 'units', task, attempt: 1 }]);
    expect(worker.lines({ msg: 'Refused', jobId: job.id })).toMatchObject([{ code: 'E_PAYLOAD_INVALID' }]);
    const events = await client.xrange(queueKey(placeOf({ name: 'units' }, place.prefix), 'events'), '-', '+');
    const reported = events.map(([, fields]) => fields.join()).filter((text) => text.includes('progress'));
    expect(reported.some((text) => text.includes('{"half":false}'))).toBe(true);
  });

  test('has the meta of its job, and nobody is told what is redacted of it', async () => {
    const job = await enqueue(task, 'tell-meta');
    const error = await job.result({ timeoutMs: 20_000 }).catch((thrown) => thrown);
    expect(error).toMatchObject({ causeMessage: 'token [redacted] of acme' });
    const told = { meta: { tenant: 'acme', token: '[redacted]' }, frozen: true };
    expect(worker.lines({ msg: 'Meta', jobId: job.id })).toMatchObject([told]);
    const [line] = worker.lines({ msg: 'Job finished', jobId: job.id });
    expect(line).not.toHaveProperty('meta');
    expect(JSON.stringify(line)).not.toContain('hunter2');
  });

  test.each([
    ['snooze-first', 'snoozed'],
    ['limit-first', 'rateLimited'],
  ] as const)('that does %s is %s at no attempt', async (behaviour, outcome) => {
    const job = await enqueue(task, behaviour);
    await worker.outcome(job.id, outcome);
    expect(await worker.outcome(job.id, 'completed')).toMatchObject({ attempt: 1 });
  });

  test('gets payloads and returns results as they were, or is refused', async () => {
    const jobs = await Promise.all(carried.map((given) => enqueue(task, 'echo', given)));
    expect(await Promise.all(jobs.map((job) => job.result()))).toEqual(carried);
    const deep = await enqueue(task, 'return-deep');
    await expect(deep.result()).rejects.toMatchObject({
      code: 'E_RESULT_INVALID',
      causeMessage: expect.stringContaining('is more than 500 levels deep'),
    });
  });

  test('fails with the code, name and message of what it threw', async () => {
    const failing = [await enqueue(task, 'fail'), await enqueue(task, 'fail-for-good')];
    const bigint = await enqueue(task, 'return-bigint');
    expect(await worker.outcome(failing[0]?.id, 'failed')).toMatchObject({
      code: 'E_TASK_FAILED',
      error: `OddError: failed on purpose in job ${failing[0]?.id}`,
    });
    expect(await worker.outcome(failing[1]?.id, 'failed')).toMatchObject({
      code: 'E_TASK_PERMANENT',
      error: 'PermanentError: no use',
    });
    expect(await worker.outcome(bigint.id, 'failed')).toMatchObject({ code: 'E_RESULT_INVALID' });
    const stored = await place.queue('units').getJob(failing[0]?.id ?? '');
    expect(stored?.stacktrace?.join()).toMatch(/OddError: failed.*\n\s+at behave .*behaviour\.js/);
  });

  test('settles whatever it throws, with what stands behind it, and the next job runs', async () => {
    const behaviours = ['throw-trapped', 'throw-proxy', 'throw-vast', 'throw-promise', 'return-trapped'] as const;
    for (const behaviour of behaviours) {
      const job = await enqueue(task, behaviour);
      await expect(job.result({ timeoutMs: 20_000 })).rejects.toMatchObject({
        code: expect.stringMatching(/^E_(TASK_FAILED|RESULT_INVALID)$/),
      });
    }
    const chain = await enqueue(task, 'throw-chain');
    const behind = { name: 'Error', message: 'connect failed', code: 'ECONNREFUSED' };
    await expect(chain.result({ timeoutMs: 20_000 })).rejects.toMatchObject({
      causes: [{ name: 'AggregateError', message: 'all failed' }, behind],
    });
    expect(await worker.outcome(chain.id, 'failed')).toMatchObject({
      error: 'TypeError: fetch failed',
      causes: ['AggregateError: all failed', 'Error: connect failed (ECONNREFUSED)'],
    });
    const stored = await place.queue('units').getJob(chain.id);
    expect(stored?.failedReason).toContain('caused by Error: connect failed (ECONNREFUSED)');
    await (await enqueue(task, 'finish')).result({ timeoutMs: 20_000 });
  });

  test('is ended within 500 ms of its time-out while it computes, and the next job runs', async () => {
    const job = await enqueue(task, 'spin');
    const begun = await worker.line({ msg: 'Acting', jobId: job.id });
    const ended = await worker.outcome(job.id, 'failed');
    expect(ended.code).toBe('E_TASK_TIMEOUT');
    expect(timeOf(ended) - timeOf(begun)).toBeGreaterThan(timeoutMs - 200);
    expect(timeOf(ended) - timeOf(begun)).toBeLessThan(timeoutMs + 500);
    await expectGone(begun, task);
    await expectAnotherUnit(begun, task);
  });

  test('is ended after its grace when its loop turns, but it does not listen', async () => {
    const job = await enqueue(task, 'ignore-abort');
    const begun = await worker.line({ msg: 'Acting', jobId: job.id });
    const ended = await worker.outcome(job.id, 'failed');
    expect(ended.code).toBe('E_TASK_TIMEOUT');
    expect(timeOf(ended) - timeOf(begun)).toBeGreaterThan(timeoutMs + 700);
    expect(timeOf(ended) - timeOf(begun)).toBeLessThan(timeoutMs + 1_600);
    await expectGone(begun, task);
  });

  test('hears of a cancel, and of why', async () => {
    const job = await enqueue(task, 'wait-for-abort');
    await worker.line({ msg: 'Acting', jobId: job.id });
    await producer.cancel(job.id, { reason: 'not wanted' });
    expect(await worker.line({ msg: 'Signal aborted', jobId: job.id })).toMatchObject({ reason: 'E_JOB_CANCELLED' });
    await worker.outcome(job.id, 'cancelled');
  });

  test('is ended by a cancel while it computes', async () => {
    const job = await enqueue(task, 'spin');
    await worker.line({ msg: 'Acting', jobId: job.id });
    await producer.cancel(job.id, { reason: 'not wanted' });
    await worker.outcome(job.id, 'cancelled');
  });

  test.each([
    ['exhaust-heap', /ran out of memory|SIGABRT/],
    ['exit', /exit code 3/],
  ] as const)('that does %s fails alone, and says so', async (behaviour, how) => {
    const beside = await place.queue('units').add('beside', { ms: 1_000 });
    const job = await enqueue(task, behaviour);
    const begun = await worker.line({ msg: 'Acting', jobId: job.id });
    const ended = await worker.outcome(job.id, 'failed');
    expect(ended.code).toBe('E_POOL_CRASHED');
    expect(ended.error).toMatch(how);
    await worker.outcome(beside.id, 'completed');
    await expectAnotherUnit(begun, task);
  });

  test.each(['throw-astray', 'reject-astray'] as const)('that does %s fails alone', async (behaviour) => {
    const job = await enqueue(task, behaviour);
    const begun = await worker.line({ msg: 'Acting', jobId: job.id });
    expect(await worker.outcome(job.id, 'failed')).toMatchObject({ code: 'E_TASK_FAILED' });
    await expectAnotherUnit(begun, task);
  });
});

describe('a worker of its own', () => {
  beforeEach(open);

  afterEach(close);

  test.each(kinds)('a task %s is not charged with what an earlier job of its unit threw too late', async (task) => {
    const worker = await startWorker();
    expect(await (await enqueue(task, 'throw-later')).result({ timeoutMs: 20_000 })).toMatchObject({ jobs: 1 });
    const job = await enqueue(task, 'pause');
    expect(await job.result({ timeoutMs: 20_000 })).toMatchObject({ jobs: 2 });
    await worker.line({ msg: 'An error escaped from a job that had ended', problem: 'thrown after the end' });
    // After an exception, the thread gets no further job.
    expect(await (await enqueue(task, 'finish')).result({ timeoutMs: 20_000 })).toMatchObject({ jobs: 1 });
  });

  test.each(kinds)('a task %s is given back at the stop, also while it computes', async (task) => {
    const worker = await startWorker({ WORKER_GRACEFUL_TIMEOUT: '100' });
    const jobs = [await enqueue(task, task === 'in-thread' ? 'spin' : 'hold')];
    if (task === 'in-process') jobs.push(await enqueue(task, 'spin'));
    for (const { id } of jobs) await worker.line({ msg: 'Acting', jobId: id });
    expect(await worker.stop(4_000)).toEqual(clean);
    for (const { id } of jobs) await worker.outcome(id, 'released');
    for (const line of worker.lines({ msg: 'Acting' })) await expectGone(line, 'in-process');
  });

  test('a process that dies of a segmentation fault fails its job alone', async () => {
    const worker = await startWorker();
    const beside = await enqueue('in-process', 'wait-for-abort');
    await worker.line({ msg: 'Acting', jobId: beside.id });
    const job = await enqueue('in-process', 'segfault');
    expect(await worker.outcome(job.id, 'failed')).toMatchObject({
      code: 'E_POOL_CRASHED',
      error: expect.stringContaining('was ended by SIGSEGV'),
    });
    await producer.cancel(beside.id, { reason: 'enough' });
    await worker.outcome(beside.id, 'cancelled');
  });

  test('a job that ends its thread again and again is poisoned, whatever attempts remain', async () => {
    const worker = await startWorker();
    const job = await producer.enqueue(again, { behaviour: 'exit' });
    expect(await worker.outcome(job.id, 'failed')).toMatchObject({
      code: 'E_POISONED',
      attempt: 4,
      error: expect.stringContaining('ended its thread or process, 3 times'),
    });
    const crashes = await client.hget(queueKey(placeOf({ name: 'units' }, place.prefix), job.id), memoryFields.crashes);
    expect(crashes).toMatch(/^(\d+,[\w-]+,unit ?){3}$/);
  });

  test('an at-most-once job in a process starts once, and fails as interrupted at the stop', async () => {
    const worker = await startWorker({ WORKER_GRACEFUL_TIMEOUT: '100' });
    const job = await place.queue('units').add('pay-in-process', {});
    await worker.line({ msg: 'Acting', jobId: job.id });
    expect(
      await client.hget(queueKey(placeOf({ name: 'units' }, place.prefix), String(job.id)), memoryFields.started),
    ).toMatch(/:1$/);
    await worker.stop();
    expect(await worker.outcome(job.id, 'failed')).toMatchObject({ code: 'E_JOB_INTERRUPTED' });
  });

  test('units start with the first job, run one after the other, are replaced after maxJobs, and go when idle', async () => {
    const worker = await startWorker();
    const opened = () => worker.lines({ msg: 'Dependencies opened', isMainThread: true });
    const proved = opened().length;
    // The dependencies were opened once in the worker, and once in each process that was thrown away.
    expect(proved).toBe(3);
    const results = [];
    for (let index = 0; index < 5; index++) {
      const job = await enqueue('in-thread', 'finish');
      results.push(await job.result({ timeoutMs: 20_000 }));
    }
    expect(results.map((result) => (result as { jobs: number }).jobs)).toEqual([1, 2, 3, 1, 2]);
    expect(new Set(results.map((result) => (result as { pid: number }).pid)).size).toBe(1);
    const { pid } = (await (await enqueue('in-process', 'finish')).result({ timeoutMs: 20_000 })) as { pid: number };
    expect(isAlive(pid)).toBe(true);
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 5_000 });
    expect(worker.lines({ msg: 'Dependencies disposed', pid })).toHaveLength(1);
    expect(await worker.stop()).toEqual(clean);
  });

  test.each(kinds)('a unit %s that keeps too much memory is replaced, and no job fails', async (task) => {
    await startWorker();
    const jobs = [];
    for (let index = 0; index < 8; index++) {
      const job = await enqueue(task, 'leak');
      jobs.push(((await job.result({ timeoutMs: 20_000 })) as { jobs: number }).jobs);
    }
    expect(Math.max(...jobs)).toBeLessThan(6);
    expect(jobs.filter((count) => count === 1).length).toBeGreaterThan(1);
  });

  test('jobs of a full pool wait in Redis, and those beside them are not kept waiting', async () => {
    const worker = await startWorker({ LOG_LEVEL: 'debug' });
    await (await enqueue('in-thread', 'finish')).result({ timeoutMs: 20_000 });
    const spinning = await Promise.all(Array.from({ length: 15 }, () => enqueue('in-thread', 'spin-briefly')));
    const beside = await Promise.all(Array.from({ length: 20 }, () => place.queue('units').add('beside', { ms: 20 })));
    for (const { id } of beside) await worker.outcome(id, 'completed');
    expect(
      spinning.filter(({ id }) => worker.lines({ msg: 'Job finished', jobId: id }).length > 0).length,
    ).toBeLessThan(6);
    expect(worker.lines({ msg: 'Its pool is full: the job waits in Redis' }).length).toBeGreaterThanOrEqual(13);
    const took = beside.map(({ id }) => Number(worker.lines({ msg: 'Job finished', jobId: id })[0]?.durationMs));
    expect(Math.max(...took)).toBeLessThan(250);
    for (const { id } of spinning) {
      await worker.line({ msg: 'Job finished', jobId: id, outcome: 'completed' }, 30_000);
    }
  }, 60_000);

  test('no process of a pool outlives its worker, also not one that computes', async () => {
    const worker = await startWorker();
    const jobs = [await enqueue('in-process', 'spin'), await enqueue('in-process', 'hold')];
    const lines = await Promise.all(jobs.map(({ id }) => worker.line({ msg: 'Acting', jobId: id })));
    worker.kill('SIGKILL');
    await worker.exited;
    for (const { pid } of lines) await vi.waitFor(() => expect(isAlive(Number(pid))).toBe(false), { timeout: 3_000 });
  });

  test.runIf(process.platform === 'linux')('units have a lower priority than the loop of their worker', async () => {
    const worker = await startWorker();
    const job = await enqueue('in-thread', 'hold');
    const other = await enqueue('in-process', 'hold');
    await worker.line({ msg: 'Acting', jobId: job.id });
    const { pid } = await worker.line({ msg: 'Acting', jobId: other.id });
    const [{ pid: own } = { pid: 0 }] = worker.lines({ msg: 'Worker ready' });
    const niceOf = (stat: string) => Number(readFileSync(stat, 'utf8').split(') ')[1]?.split(' ')[16]);
    const threads = readdirSync(`/proc/${own}/task`).map((tid) => niceOf(`/proc/${own}/task/${tid}/stat`));
    expect(threads.filter((nice) => nice === 5)).toHaveLength(1);
    expect([niceOf(`/proc/${own}/stat`), niceOf(`/proc/${pid}/stat`)]).toEqual([0, 5]);
  });

  test('a task that blocks the loop again and again is told once to move to a pool', async () => {
    const worker = await startWorker();
    for (let index = 0; index < 4; index++) {
      const job = await place.queue('units').add('beside', { ms: 1_800, block: true });
      await worker.outcome(job.id, 'completed');
    }
    const hint = { msg: 'A task blocks the event loop again and again' };
    const line = await worker.line(hint);
    expect(line).toMatchObject({ level: 40, queue: 'units', task: 'beside', blocks: 3, line: "pool: 'thread'" });
    expect(line.file).toBe('tasks/beside/manifest.ts');
    expect(Number(line.p99BlockMs)).toBeGreaterThan(1_000);
    await worker.stop();
    expect(worker.lines(hint)).toHaveLength(1);
  }, 60_000);

  describe('the worker process', () => {
    test('never loads what runs in pools, and no dependencies where all of it does', async () => {
      const worker = launch(['only'], {}, true);
      await worker.line({ msg: 'Worker ready' });
      const job = await place.queue('only').add('lone', { behaviour: 'finish' });
      await worker.outcome(job.id, 'completed');
      const loaded = await worker.loadedScripts();
      expect(loaded.filter((url) => url.includes('/tasks/lone/'))).toEqual([
        expect.stringMatching(/tasks\/lone\/manifest\.js$/),
      ]);
      expect(loaded.filter((url) => url.endsWith('/only/dependencies.js'))).toEqual([]);
      expect(worker.lines({ msg: 'Dependencies opened', isMainThread: false })).toHaveLength(1);
    });

    test.each([
      ['rotten', /E_TASK_LOAD_FAILED: Task "rotten" .*could not be imported: no such library/],
      ['vanishing', /E_TASK_LOAD_FAILED: Task "vanishing" .*the process that was to load it ended with exit code 7/],
      ['small', /E_POOL_MEMORY_LOW: Task "small" .*`pool.maxMemoryMb` 64, but an idle process of it takes \d+ MB/],
    ])('does not start when a unit cannot: %s', async (queue, message) => {
      const worker = launch([queue]);
      expect(await worker.exited).toMatchObject({ code: 1 });
      expect(worker.stderr()).toMatch(message);
    });
  });
});

function launch(queues: string[], env: Record<string, string> = {}, probe = false): IsletProcess {
  const flags = queues.flatMap((queue) => ['--queue', queue]);
  return startIslet(['worker', ...flags], { cwd: fixtureApp('pools'), env: { ...place.env, ...env }, probe });
}

async function startWorker(env: Record<string, string> = {}): Promise<IsletProcess> {
  const worker = launch(['units'], env);
  await worker.line({ msg: 'Worker ready' }, 20_000);
  return worker;
}

async function enqueue(
  task: (typeof kinds)[number],
  behaviour: string,
  given?: unknown,
): Promise<ResultHandle<unknown>> {
  const manifest = task === 'in-thread' ? inThread : inProcess;
  const options = { keepResultMs: 60_000 };
  return (await producer.enqueue(manifest, { behaviour, given } as never, options)) as ResultHandle<unknown>;
}

const timeOf = (line: LogLine | Job | undefined) => Date.parse(String((line as LogLine | undefined)?.time));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs a job, and expects that it does not get the unit that began another one. */
async function expectAnotherUnit({ pid, threadId }: LogLine, task: (typeof kinds)[number]): Promise<void> {
  const next = await (await enqueue(task, 'finish')).result({ timeoutMs: 20_000 });
  expect(next).toMatchObject({ jobs: expect.any(Number) });
  expect(next).not.toMatchObject({ pid, threadId });
}

/** A thread cannot be seen from outside: its count tells that the next job has a new one. */
async function expectGone({ pid }: LogLine, task: string): Promise<void> {
  if (task !== 'in-process') return;
  await vi.waitFor(() => expect(isAlive(Number(pid))).toBe(false), { timeout: 2_000 });
}
