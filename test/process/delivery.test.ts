import type { Job, JobsOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ownKeyNames, placeOf, queueKey } from '../../src/broker/keys.ts';
import { memoryFields } from '../../src/broker/memory.ts';
import { fixtureApp, type IsletProcess, killAll, type LogLine, startIslet } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const long = { HOLD_MS: '60000' };
const graceMs = 300;
const shortGrace = { WORKER_GRACEFUL_TIMEOUT: String(graceMs) };
/** How long it may take from the end of the grace to the end of the process. */
const exitLimitMs = 2_000;
const clean = { code: 0, signal: null };

let place: RedisPlace;
let client: Redis;

beforeEach(() => {
  place = openRedisPlace();
  client = new Redis(place.url);
});

afterEach(async () => {
  await killAll();
  client.disconnect();
  await place.close();
});

describe('on SIGTERM', () => {
  test('a job that fits the grace ends and is not run again, and no other is taken', async () => {
    const worker = await startWorker({ HOLD_MS: '500' });
    const fitting = await started(worker, await endure('hold'));
    worker.kill('SIGTERM');
    await worker.line({ msg: 'Draining' });
    const later = await endure('hold');
    expect(await worker.exited).toEqual(clean);
    expect(worker.lines({ msg: 'Job finished', jobId: fitting.id, outcome: 'completed' })).toHaveLength(1);
    expect(worker.lines({ jobId: later.id })).toEqual([]);

    const next = await startWorker();
    await next.outcome(later.id, 'completed');
    expect(next.lines({ jobId: fitting.id })).toEqual([]);
  });

  test('a job that outlasts the grace goes to the head of the queue, as the same attempt, with no crash', async () => {
    const worker = await startWorker({ ...long, ...shortGrace }, ['--concurrency', '1']);
    const released = await started(worker, await endure('hold'));
    const waiting = await endure('hold');
    const { exit, tookMs } = await stop(worker);
    expect(exit).toEqual(clean);
    expect(tookMs).toBeLessThan(graceMs + exitLimitMs);
    await worker.outcome(released.id, 'released');
    expect(await memory(released)).toMatchObject({ releases: 1, crashes: 0 });

    const next = await startWorker({}, ['--concurrency', '1']);
    await next.outcome(waiting.id, 'completed');
    expect(next.lines({ msg: 'Acting' }).map(({ jobId }) => jobId)).toEqual([released.id, waiting.id]);
    expect(next.lines({ msg: 'Job finished', jobId: released.id })).toMatchObject([
      { outcome: 'completed', attempt: 1 },
    ]);
  });

  test('another worker starts the released job within a second', async () => {
    const worker = await startWorker({ ...long, ...shortGrace });
    const job = await started(worker, await endure('hold'));
    const other = await startWorker();
    const stopped = stop(worker);
    const again = await other.line({ msg: 'Acting', jobId: job.id });
    const { tookMs } = await stopped;
    const ended = await worker.outcome(job.id, 'released');
    expect(timeOf(again) - timeOf(ended)).toBeLessThan(1_000);
    expect(tookMs).toBeLessThan(graceMs + exitLimitMs);
  });

  test('a job that ignores its signal starts again only as its process ends', async () => {
    const worker = await startWorker({ ...long, ...shortGrace });
    // The first job is left behind half a second before the second one, for which the process waits.
    const jobs = [await act('ignore-abort'), await endure('ignore-abort')];
    for (const job of jobs) await started(worker, job);
    const other = await startWorker(long);
    const stopped = stop(worker);
    const again = await Promise.all(jobs.map(({ id }) => other.line({ msg: 'Acting', jobId: id })));
    const { exit, tookMs, endedAt } = await stopped;
    expect(exit).toEqual(clean);
    expect(tookMs).toBeLessThan(graceMs + exitLimitMs);
    for (const line of again) {
      // The system takes a moment to bury a process.
      expect(timeOf(line) - endedAt).toBeGreaterThan(-250);
      expect(timeOf(line) - endedAt).toBeLessThan(1_000);
    }
  });

  test('an at-most-once job that had started fails as interrupted, and is not run again', async () => {
    const worker = await startWorker({ ...long, ...shortGrace });
    const job = await started(worker, await place.queue('main').add('pay', {}));
    const other = await startWorker();
    expect((await stop(worker)).exit).toEqual(clean);
    expect(await failedReason(job)).toContain('E_JOB_INTERRUPTED');
    expect(other.lines({ jobId: job.id })).toEqual([]);
  });

  test('a second signal aborts at once, but not within a second of the first', async () => {
    const worker = await startWorker({ ...long, WORKER_GRACEFUL_TIMEOUT: '30s' });
    const job = await started(worker, await endure('hold'));
    const aborting = await vi.waitFor(
      () => {
        worker.kill('SIGTERM');
        const [line] = worker.lines({ msg: 'Aborting' });
        expect(line).toBeDefined();
        return line as LogLine;
      },
      { timeout: 5_000, interval: 150 },
    );
    expect(await worker.exited).toEqual(clean);
    const draining = await worker.line({ msg: 'Draining' });
    expect(timeOf(aborting) - timeOf(draining)).toBeGreaterThan(1_000);
    expect(Date.now() - timeOf(aborting)).toBeLessThan(exitLimitMs);
    expect(worker.lines({ msg: 'Job finished', jobId: job.id })).toMatchObject([{ outcome: 'released' }]);
  });

  test('a job that has been released too often fails', async () => {
    const env = { ...long, ...shortGrace, WORKER_MAX_RELEASES: '1' };
    const first = await startWorker(env);
    const job = await started(first, await endure('hold'));
    await stop(first);
    const second = await startWorker(env);
    await started(second, job);
    await stop(second);
    expect(await failedReason(job)).toMatch(/E_RELEASE_LIMIT.* 2 times .*limit is 1/);
    expect(await memory(job)).toMatchObject({ crashes: 0 });
  });

  test('a worker that is killed while it stops leaves no crash behind', async () => {
    const worker = await startWorker(long);
    const job = await started(worker, await endure('hold'));
    worker.kill('SIGTERM');
    await vi.waitFor(async () => expect(Object.keys(await workers()).join()).toContain(':stopping'));
    await kill(worker);
    const next = await startWorker(long);
    const again = await next.line({ msg: 'Acting', jobId: job.id });
    expect(again.attempt).toBe(1);
    expect(await memory(job)).toMatchObject({ crashes: 0 });
  });
});

describe('on SIGKILL', () => {
  test('the job runs again within 3 s, as the same attempt, and its crash is remembered', async () => {
    const worker = await startWorker(long);
    const job = await started(worker, await endure('hold'));
    await kill(worker);
    const killedAt = Date.now();
    const next = await startWorker(long);
    const again = await next.line({ msg: 'Acting', jobId: job.id });
    expect(again.attempt).toBe(1);
    expect(timeOf(again) - killedAt).toBeLessThan(3_000);
    expect(await memory(job)).toMatchObject({ releases: 0, crashes: 1 });
  });

  test('an at-most-once job that had started fails as interrupted, and its code is not run again', async () => {
    const worker = await startWorker(long);
    const job = await started(worker, await place.queue('main').add('pay', {}));
    await kill(worker);
    const next = await startWorker();
    expect(await failedReason(job)).toContain('E_JOB_INTERRUPTED');
    expect(next.lines({ msg: 'Acting', jobId: job.id })).toEqual([]);
  });

  test('a job that kills its process runs alone from its second crash on, fails at the third, and no other does', async () => {
    const env = { HOLD_MS: '1000' };
    const first = await startWorker(env);
    const innocent = await Promise.all([1, 2, 3].map(async () => started(first, await endure('hold'))));
    const poison = await endure('kill-process');
    const victims = [first];
    for (const worker of victims) {
      expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' });
      if (victims.length < 3) victims.push(launch(env));
    }
    const last = launch(env);
    const reason = await failedReason(poison);
    await emptied();

    const [beside, , besideAtLast] = victims.map((worker) => worker.lines({ msg: 'Killing' })[0]?.beside);
    expect(beside).toEqual(innocent.map(({ id }) => id).sort());
    expect(besideAtLast).toEqual([]);
    expect(reason).toContain('E_POISONED');
    expect(reason.match(/\d{4}-\d\d-\d\dT[\d:.]+Z \(worker [\w-]+, (?:suspect|culprit)\)/g)).toHaveLength(3);
    expect(last.lines({ msg: 'Killing' })).toEqual([]);
    expect(await place.queue('main').getJobCounts('failed')).toEqual({ failed: 1 });
  });

  test('a suspect that kills its process leaves no crash to jobs that wait behind it', async () => {
    const poison = await endure('kill-process');
    const crashes = ['one', 'two'].map((worker) => `${Date.now()},${worker},suspect`).join(' ');
    await client.hset(
      queueKey(placeOf({ name: 'main' }, place.prefix), String(poison.id)),
      memoryFields.crashes,
      crashes,
    );
    const waiting = await Promise.all(Array.from({ length: 5 }, () => endure('hold')));
    expect(await launch(long).exited).toEqual({ code: null, signal: 'SIGKILL' });
    const next = await startWorker(long);
    expect(await failedReason(poison)).toContain('E_POISONED');
    for (const job of waiting) await started(next, job);
    const remembered = await Promise.all(waiting.map(memory));
    expect(remembered.map((job) => job.crashes)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('a dead worker whose process cannot be looked at', () => {
  /** Kills a worker as if it had run in another container, so that nobody can tell whether it lives. */
  async function killElsewhere(slot: string): Promise<Job> {
    const worker = await startWorker(long, ['--slot', slot]);
    const job = await started(worker, await endure('hold'));
    const records = Object.entries(await workers()).filter(([field]) => !field.includes(':'));
    for (const [id, text] of records) {
      await client.hset(
        queueKey(placeOf({ name: 'main' }, place.prefix), ownKeyNames.workers),
        id,
        JSON.stringify({ ...JSON.parse(text), boot: 'another' }),
      );
    }
    await kill(worker);
    return job;
  }

  test('gives its jobs to the next worker of its slot at once', async () => {
    const job = await killElsewhere('main-1');
    const next = await startWorker({}, ['--slot', 'main-1']);
    await next.outcome(job.id, 'completed');
  });

  test.each([[[]], [['--slot', 'main-2']]])('is waited for by a worker with the flags %j', async (flags) => {
    const job = await killElsewhere('main-1');
    const next = await startWorker({}, flags);
    const other = await endure('hold');
    await next.outcome(other.id, 'completed');
    expect(await job.getState()).toBe('active');
    expect(next.lines({ jobId: job.id })).toEqual([]);
  });
});

describe('a job of a newer version', () => {
  const evolve = () => place.queue('main').add('evolve', {}, { islet: { version: 2 } } as JobsOptions);

  test('is postponed, no attempt used, and runs on a newer worker', async () => {
    const old = await startWorker();
    const job = await evolve();
    await old.outcome(job.id, 'postponed');
    await stop(old);
    expect(old.lines({ msg: 'Acting' })).toEqual([]);
    const newer = await startWorker({ EVOLVE_VERSION: '2' });
    const line = await newer.outcome(job.id, 'completed');
    expect(line.attempt).toBe(1);
  });

  test('fails after the deadline, when no newer worker comes', async () => {
    const worker = await startWorker({ WORKER_UNKNOWN_TASK_DEADLINE: '1s' });
    const job = await evolve();
    await worker.outcome(job.id, 'failed');
    expect(await failedReason(job)).toMatch(/E_TASK_UNKNOWN.*version 1 .*version 2/);
    expect(worker.lines({ msg: 'Acting' })).toEqual([]);
    const [first] = worker.lines({ msg: 'Job finished', outcome: 'postponed' });
    const [end] = worker.lines({ msg: 'Job finished', outcome: 'failed' });
    expect(timeOf(end) - timeOf(first)).toBeGreaterThanOrEqual(1_000);
  });
});

test('a job whose task nobody knows is told in a warning, once', async () => {
  const worker = await startWorker();
  const jobs = await place.queue('main').addBulk(['Evolve', 'Evolve'].map((name) => ({ name, data: {} })));
  for (const job of jobs) await worker.outcome(job.id, 'postponed');
  expect(worker.lines({ msg: 'Task unknown' })).toEqual([
    expect.objectContaining({
      level: 40,
      task: 'Evolve',
      error: expect.stringMatching(
        /^Queue "main" has no task "Evolve"\. Did you mean "evolve"\? .* formerNames: \["Evolve"\]/,
      ),
    }),
  ]);
});

describe('a verdict', () => {
  test('`snooze` runs the job again after its delay, no attempt used, and holds up no other', async () => {
    const worker = await startWorker();
    const job = await endure('snooze-first');
    await worker.outcome(job.id, 'snoozed');
    const other = await endure('hold');
    const done = await worker.outcome(job.id, 'completed');
    const [first, second] = worker.lines({ msg: 'Acting', jobId: job.id });
    expect([first?.attempt, done.attempt]).toEqual([1, 1]);
    expectDelay(timeOf(second) - timeOf(first));
    const otherDone = await worker.outcome(other.id, 'completed');
    expect(timeOf(otherDone)).toBeLessThan(timeOf(second));
  });

  test('`rateLimited` stops the whole queue for its delay, no attempt used, and then its job is first', async () => {
    const worker = await startWorker({}, ['--concurrency', '1']);
    const job = await endure('limit-first');
    const limited = await worker.outcome(job.id, 'rateLimited');
    const other = await endure('hold');
    const otherDone = await worker.outcome(other.id, 'completed');
    const done = await worker.outcome(job.id, 'completed');
    expect(done.attempt).toBe(1);
    const [, again] = worker.lines({ msg: 'Acting', jobId: job.id });
    expectDelay(timeOf(again) - timeOf(limited));
    expect(timeOf(again)).toBeLessThanOrEqual(timeOf(otherDone));
  });
});

test('a worker stops to be replaced, when more jobs ignore their time-out than it may leave behind', async () => {
  const worker = await startWorker({ HOLD_MS: '4500', WORKER_MAX_ABANDONED: '1' });
  const neighbour = await started(worker, await endure('hold'));
  for (const job of [await act('ignore-abort'), await act('ignore-abort')]) await started(worker, job);
  const line = await worker.line({ code: 'E_ABANDONED_LIMIT' });
  const later = await endure('hold');
  expect(line.level).toBe(50);
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect(worker.lines({ msg: 'Job finished', jobId: neighbour.id })).toMatchObject([{ outcome: 'completed' }]);
  expect(worker.lines({ jobId: later.id })).toEqual([]);
});

function launch(env: Record<string, string> = {}, flags: string[] = []): IsletProcess {
  const options = { cwd: fixtureApp('behaviours'), env: { ...place.env, ...env } };
  return startIslet(['worker', '--queue', 'main', ...flags], options);
}

async function startWorker(env: Record<string, string> = {}, flags: string[] = []): Promise<IsletProcess> {
  const worker = launch(env, flags);
  await worker.line({ msg: 'Worker ready' });
  return worker;
}

/** Adds a job of the task whose payload picks its behaviour, without any code of Islet. */
const endure = (behaviour: string) => place.queue('main').add('endure', { behaviour });
const act = (behaviour: string) => place.queue('main').add('act', { behaviour });

/** Waits until the job's code runs in that worker. */
async function started(worker: IsletProcess, job: Job): Promise<Job> {
  await worker.line({ msg: 'Acting', jobId: job.id });
  return job;
}

/** Sends SIGTERM and measures how long the process takes to end. */
async function stop(worker: IsletProcess) {
  const askedAt = Date.now();
  const exit = await worker.stop();
  return { exit, tookMs: Date.now() - askedAt, endedAt: Date.now() };
}

async function kill(worker: IsletProcess): Promise<void> {
  worker.kill('SIGKILL');
  await worker.exited;
}

const timeOf = (line: LogLine | undefined) => Date.parse(String(line?.time));

/** The verdicts of the task ask for 800 ms; the two clocks round to a millisecond. */
function expectDelay(ms: number): void {
  expect(ms).toBeGreaterThanOrEqual(790);
  expect(ms).toBeLessThan(2_000);
}

const workers = () => client.hgetall(queueKey(placeOf({ name: 'main' }, place.prefix), ownKeyNames.workers));

/** Counts the releases and crashes that are remembered of a job. */
async function memory(job: Job): Promise<{ releases: number; crashes: number }> {
  const { releases: given, crashes: died } = memoryFields;
  const fields = await client.hmget(queueKey(placeOf({ name: 'main' }, place.prefix), String(job.id)), given, died);
  const [releases = 0, crashes = 0] = fields.map((text) => (text ? text.split(' ').length : 0));
  return { releases, crashes };
}

async function failedReason(job: Job): Promise<string> {
  return vi.waitFor(
    async () => {
      // The state is read first: a job that was read before it failed has no reason yet.
      expect(await job.getState()).toBe('failed');
      const kept = await place.queue('main').getJob(String(job.id));
      return String(kept?.failedReason);
    },
    { timeout: 10_000 },
  );
}

async function emptied(): Promise<void> {
  const left = () => place.queue('main').getJobCountByTypes('waiting', 'active', 'delayed');
  await vi.waitFor(async () => expect(await left()).toBe(0), { timeout: 10_000 });
}
