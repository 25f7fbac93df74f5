import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { placeOf, queueKey } from '../../src/broker/keys.ts';
import { memoryFields } from '../../src/broker/memory.ts';
import { freePort } from '../../src/tools/dev-redis/redis-child.ts';
import { fixtureApp, type IsletProcess, killAll, type LogLine, startIslet } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const cwd = fixtureApp('kept');
const ok = { code: 0, signal: null };
const longMs = 60_000;

let place: RedisPlace;
let client: Redis;
let started: IsletProcess[];

beforeEach(() => {
  place = openRedisPlace();
  client = new Redis(place.url);
  started = [];
});

afterEach(async () => {
  // A supervisor that is killed leaves its workers to end by themselves.
  for (const pid of started.flatMap(readyPids)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  await killAll();
  client.disconnect();
  await place.close();
});

describe('a supervisor', () => {
  test('replaces a worker that was killed, and its job runs again at once, charged with one crash', async () => {
    const supervisor = await supervise(2, ['--concurrency', '1']);
    const jobs = [await hold(longMs), await hold(longMs)];
    const [victim, neighbour] = await Promise.all(jobs.map((job) => holding(supervisor, job)));
    const killedAt = Date.now();
    process.kill(Number(victim?.pid), 'SIGKILL');
    const again = await holdingAgain(supervisor, jobs[0]);
    // Only the successor had room for the job.
    expect(timeOf(again) - killedAt).toBeLessThan(10_000);
    expect(await crashesOf(jobs[0])).toBe(1);
    expect([holdings(supervisor, jobs[1]).length, await crashesOf(jobs[1])]).toEqual([1, 0]);
    await supervisor.line({ msg: 'A worker died: it is replaced', how: 'SIGKILL', worker: victim?.pid });
    await untilReady(supervisor, 3);
    expect(readyPids(supervisor).filter(isAlive)).toContain(neighbour?.pid);
  });

  test('gives the job to a worker that lives, when there is one', async () => {
    const supervisor = await supervise(2, ['--concurrency', '2']);
    const job = await hold(longMs);
    const first = await holding(supervisor, job);
    const killedAt = Date.now();
    process.kill(Number(first.pid), 'SIGKILL');
    const again = await holdingAgain(supervisor, job);
    expect(timeOf(again) - killedAt).toBeLessThan(1_000);
    const living = readyPids(supervisor).find((pid) => pid !== first.pid);
    expect([again?.pid, (await supervisor.line({ msg: 'Jobs recovered' })).pid]).toEqual([living, living]);
  });

  test('stops all workers within the grace, and ends with 0', async () => {
    const supervisor = await supervise(2, ['--graceful-timeout', '1s']);
    const fitting = await hold(500);
    const long = await hold(longMs);
    for (const job of [fitting, long]) await holding(supervisor, job);
    const askedAt = Date.now();
    expect(await supervisor.stop()).toEqual(ok);
    expect(Date.now() - askedAt).toBeLessThan(3_500);
    expect(readyPids(supervisor).filter(isAlive)).toEqual([]);
    await supervisor.outcome(fitting.id, 'completed');
    await supervisor.outcome(long.id, 'released');
    expect(supervisor.lines({ msg: 'A worker died: it is replaced' })).toEqual([]);
  });

  test('aborts at a second signal', async () => {
    const supervisor = await supervise(1, ['--graceful-timeout', '30s']);
    const job = await hold(longMs);
    await holding(supervisor, job);
    supervisor.kill('SIGINT');
    await supervisor.line({ msg: 'Draining' });
    await vi.waitFor(
      () => {
        supervisor.kill('SIGINT');
        expect(supervisor.lines({ msg: 'Stopping all workers now' })).toHaveLength(1);
      },
      { timeout: 5_000, interval: 150 },
    );
    expect(await supervisor.exited).toEqual(ok);
    await supervisor.outcome(job.id, 'released');
    expect(await crashesOf(job)).toBe(0);
  });

  test('replaces all workers one by one at SIGHUP, and no fewer take jobs meanwhile', async () => {
    const supervisor = await supervise(2);
    const before = readyPids(supervisor);
    supervisor.kill('SIGHUP');
    await untilReady(supervisor, 4);
    await vi.waitFor(() => expect(before.filter(isAlive)).toEqual([]), { timeout: 10_000 });
    expect(fewestTakingJobs(supervisor, 2)).toEqual({ least: 2, most: 3 });
    expect(readyPids(supervisor).filter(isAlive)).toHaveLength(2);
    expect(await supervisor.stop()).toEqual(ok);
  });

  test('shows its status at SIGUSR2, and says which signals it knows', async () => {
    const supervisor = await supervise(2);
    await Promise.all([hold(longMs), hold(longMs), hold(longMs)].map(async (job) => holding(supervisor, await job)));
    const status = await vi.waitFor(
      () => {
        supervisor.kill('SIGUSR2');
        const line = supervisor.lines({ msg: 'Status' }).at(-1) as LogLine & Status;
        expect(line?.workers.reduce((sum, { running }) => sum + running, 0)).toBe(3);
        return line;
      },
      { timeout: 5_000, interval: 200 },
    );
    expect(status.workers.map(({ pid, state }) => [pid, state])).toEqual(
      readyPids(supervisor).map((pid) => [pid, 'ready']),
    );
    for (const { rssMb } of status.workers) expect(rssMb).toBeGreaterThan(30);
    expect(supervisor.stderr()).toMatch(/^PID +STATE +AGE +JOBS +IN FLIGHT +RSS$/m);
    expect(supervisor.stderr()).toMatch(new RegExp(`^${status.parent.pid} +parent .* ${status.parent.rssMb} MB$`, 'm'));
    supervisor.kill('SIGTTIN');
    await supervisor.line({ msg: 'Ignored a signal that means nothing here', signal: 'SIGTTIN' });
    expect(readyPids(supervisor).filter(isAlive)).toHaveLength(2);
  });

  test('is missed: its workers drain and end, and the next supervisor has their jobs', async () => {
    const supervisor = await supervise(2, ['--graceful-timeout', '1s']);
    const job = await hold(longMs);
    await holding(supervisor, job);
    supervisor.kill('SIGKILL');
    await vi.waitFor(() => expect(readyPids(supervisor).filter(isAlive)).toEqual([]), { timeout: 4_000 });
    const next = await supervise(1);
    await holding(next, job);
    expect(await crashesOf(job)).toBe(0);
  });

  test('is missed by a worker whose event loop is blocked, too', async () => {
    const supervisor = await supervise(1, ['--graceful-timeout', '1s']);
    const job = await place.queue('kept').add('spin', { ms: 30_000 });
    await supervisor.line({ msg: 'Spinning', jobId: job.id });
    supervisor.kill('SIGKILL');
    await vi.waitFor(() => expect(readyPids(supervisor).filter(isAlive)).toEqual([]), { timeout: 5_000 });
  });

  test('gives up with 70 when workers do not start any more', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'islet-supervisor-'));
    try {
      const file = join(folder, 'die');
      const supervisor = await supervise(2, [], { DIE_FILE: file });
      await writeFile(file, '');
      for (const pid of readyPids(supervisor)) process.kill(pid, 'SIGKILL');
      const line = await supervisor.line({ code: 'E_CRASH_LOOP' }, 45_000);
      expect(line).toMatchObject({ level: 60, how: 'exit code 3', deaths: 5, exitCode: 70 });
      expect(await supervisor.exited).toEqual({ code: 70, signal: null });
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 60_000);

  test.each([
    [['--queue', 'keept', '--processes', '2'], 'E_QUEUE_UNKNOWN'],
    [['--queue', 'kept', '--processes', '2', '--max-memory', '20mb'], 'E_MEMORY_LIMIT_LOW'],
  ])('ends at once with 2, and says it once, when its workers refuse %j', async (flags, code) => {
    const supervisor = launch(flags);
    expect(await supervisor.exited).toEqual({ code: 2, signal: null });
    expect(supervisor.stderr().match(/^E_\w+/gm)).toEqual([code]);
  });

  test('answers health checks for its workers', async () => {
    const port = await freePort();
    const supervisor = await supervise(2, [], { WORKER_HEALTH_PORT: String(port) });
    const response = await fetch(`http://127.0.0.1:${port}/livez`);
    expect([response.status, await response.text()]).toEqual([200, 'ok\n']);
    expect(await supervisor.stop()).toEqual(ok);
  });

  test('gives each of its workers a slot of its own', async () => {
    const supervisor = await supervise(2, ['--slot', 'kept-7']);
    const records = await client.hgetall(queueKey(placeOf({ name: 'kept' }, place.prefix), 'islet:workers'));
    const slots = Object.entries(records).flatMap(([field, text]) =>
      field.includes(':') ? [] : [JSON.parse(text).slot],
    );
    expect(slots.sort()).toEqual(['kept-7-0', 'kept-7-1']);
    expect(await supervisor.stop()).toEqual(ok);
  });

  test('is what the settings ask for, too', async () => {
    const supervisor = launch(['--queue', 'kept'], { WORKER_PROCESSES: '2' });
    await untilReady(supervisor, 2);
    await supervisor.line({ msg: 'Supervisor ready', processes: 2 });
    expect(await supervisor.stop()).toEqual(ok);
  });
});

test('a worker that takes a slot whose holder is seen to live leaves it its jobs', async () => {
  const [first, job] = [launch(['--queue', 'kept', '--slot', 'one']), await hold(longMs)];
  await holding(first, job);
  const second = launch(['--queue', 'kept', '--slot', 'one']);
  await second.line({ msg: 'Worker ready' });
  expect([second.lines({ msg: 'Jobs recovered' }), await job.getState()]).toEqual([[], 'active']);
});

describe('a worker is recycled', () => {
  test('by its age: the successor takes jobs first, never fewer do, and no job is run twice', async () => {
    const supervisor = await supervise(3, ['--max-age', '5s', '--max-age-variance', '4s']);
    const jobs = await feed(supervisor, 100, () => supervisor.lines({ msg: 'Recycling a worker' }).length >= 4);
    expect(await supervisor.stop()).toEqual(ok);
    const recycled = supervisor.lines({ msg: 'Recycling a worker', why: 'age' });
    expect(recycled.length).toBeGreaterThanOrEqual(4);
    // The ages of the workers were drawn.
    expect(new Set(recycled.map(({ ageMs }) => Math.round(Number(ageMs) / 250))).size).toBeGreaterThan(1);
    expect(fewestTakingJobs(supervisor, 3)).toEqual({ least: 3, most: 4 });
    expectAllOnce(supervisor, jobs);
  }, 90_000);

  test('by the number of its jobs', async () => {
    const supervisor = await supervise(1, ['--max-jobs', '10']);
    const jobs = await feed(supervisor, 20, () => supervisor.lines({ msg: 'Recycling a worker' }).length >= 1);
    expect(await supervisor.stop()).toEqual(ok);
    const [first] = supervisor.lines({ msg: 'Recycling a worker' });
    expect(first).toMatchObject({ why: 'jobs' });
    expect(Number(first?.jobs)).toBeGreaterThanOrEqual(10);
    expect(fewestTakingJobs(supervisor, 1)).toEqual({ least: 1, most: 2 });
    expectAllOnce(supervisor, jobs);
  });

  test('by its memory: a leak of 1 MB per job stays bounded over 2000 jobs, and none runs twice', async () => {
    const limitMb = 220;
    const supervisor = await supervise(2, ['--max-memory', `${limitMb}mb`]);
    const added = await place
      .queue('kept')
      .addBulk(Array.from({ length: 2_000 }, () => ({ name: 'leak', data: { mb: 1 } })));
    let mostMb = 0;
    await vi.waitFor(
      () => {
        supervisor.kill('SIGUSR2');
        const [line] = supervisor.lines({ msg: 'Status' }).slice(-1) as (LogLine & Status)[];
        mostMb = Math.max(mostMb, ...(line?.workers.map(({ rssMb }) => rssMb) ?? []));
        expect(supervisor.lines({ msg: 'Job finished' })).toHaveLength(2_000);
      },
      { timeout: 100_000, interval: 250 },
    );
    expect(await supervisor.stop()).toEqual(ok);
    expect(readyPids(supervisor).length).toBeGreaterThan(4);
    // A worker far above its limit does not wait for its successor; what runs then goes on.
    expect(mostMb).toBeLessThan(2 * limitMb);
    expectAllOnce(supervisor, added);
  }, 120_000);
});

describe('with --recycle exit, one worker without a parent', () => {
  test('drains and exits with 0 after so many jobs', async () => {
    const jobs = await Promise.all(Array.from({ length: 5 }, () => hold(10)));
    const worker = launch(['--queue', 'kept', '--recycle', 'exit', '--max-jobs', '3', '--concurrency', '1']);
    expect(await worker.exited).toEqual(ok);
    expect(worker.lines({ msg: 'A limit is reached: draining' })).toMatchObject([{ why: 'jobs', jobs: 3 }]);
    expect(worker.lines({ msg: 'Job finished', outcome: 'completed' })).toHaveLength(3);
    expect(await place.queue('kept').getJobCountByTypes('waiting')).toBe(jobs.length - 3);
  });

  test('lets the jobs that run then finish', async () => {
    const worker = launch(['--queue', 'kept', '--recycle', 'exit', '--max-age', '5s', '--max-age-variance', '5s']);
    await worker.line({ msg: 'Worker ready' });
    const feeding = setInterval(() => void hold(300), 100);
    const exit = await worker.exited.finally(() => clearInterval(feeding));
    expect(exit).toEqual(ok);
    expect(worker.lines({ msg: 'A limit is reached: draining', why: 'age' })).toHaveLength(1);
    expect(worker.lines({ msg: 'Job finished', outcome: 'completed' }).length).toBe(
      worker.lines({ msg: 'Holding' }).length,
    );
  });
});

test.each([
  [['--processes', '0'], '--processes: expected a whole number from 1 to 64, got "0".'],
  [['--processes', '65'], '--processes: expected a whole number from 1 to 64, got "65".'],
  [['--max-age', '4s'], '--max-age: expected a duration such as 500ms, 60s or 6h, from 5s, 24d at most, got "4s".'],
  [['--max-age', '6w'], '--max-age: expected a duration such as 500ms, 60s or 6h, from 5s, 24d at most, got "6w".'],
  [['--max-memory', '300'], '--max-memory: expected a size such as 300mb or 1gb, got "300".'],
  [['--max-memory', '300kb'], '--max-memory: expected a size such as 300mb or 1gb, got "300kb".'],
  [['--max-jobs', '0'], '--max-jobs: expected a whole number from 1 to 1000000000, got "0".'],
  [['--recycle', 'never'], '--recycle: expected one of replace, exit, got "never".'],
  [['--recycle', 'exit'], '--recycle exit needs a limit: --max-age, --max-jobs or --max-memory.'],
  [
    ['--recycle', 'exit', '--max-jobs', '1', '--processes', '2'],
    '--recycle exit is for one worker without a parent, but --processes is 2. Leave one out.',
  ],
  [['--max-age-variance', '1h'], '--max-age-variance needs worker.maxAge, which is not set.'],
  [
    ['--max-age', '6h', '--max-age-variance', '7h'],
    '--max-age-variance (25200s) is above --max-age (21600s). Lower it.',
  ],
])('refuses %j', async (flags, message) => {
  const worker = launch(['--queue', 'kept', ...flags]);
  expect(await worker.exited).toEqual({ code: 2, signal: null });
  expect(worker.stderr()).toBe(`E_USAGE: ${message}\n`);
});

test.each([
  [{ WORKER_PROCESSES: '0' }, 'worker.processes`: expected a whole number from 1 to 64, or none, got "0"'],
  [{ WORKER_MAX_AGE: '1s' }, 'worker.maxAge`: expected milliseconds or a duration such as 25s or 10m, from 5000ms'],
  [{ WORKER_MAX_MEMORY: '300' }, 'worker.maxMemory`: expected a size such as 300mb or 1gb, or none, got "300"'],
  [{ WORKER_RECYCLE: 'no' }, 'worker.recycle`: expected replace or exit, got "no"'],
  [
    { WORKER_MAX_AGE: '1m', WORKER_MAX_AGE_VARIANCE: '2m' },
    'worker.maxAgeVariance (120s) is above worker.maxAge (60s)',
  ],
])('refuses the settings %j', async (env, message) => {
  const worker = launch(['--queue', 'kept'], env);
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect(worker.stderr()).toContain('E_CONFIG_INVALID: ');
  expect(worker.stderr()).toContain(message);
});

interface Status {
  parent: { pid: number; rssMb: number };
  workers: { pid: number; state: string; running: number; rssMb: number }[];
}

function launch(flags: string[], env: Record<string, string> = {}): IsletProcess {
  const islet = startIslet(['worker', ...flags], { cwd, env: { ...place.env, ...env } });
  started.push(islet);
  return islet;
}

async function supervise(processes: number, flags: string[] = [], env: Record<string, string> = {}) {
  const supervisor = launch(['--queue', 'kept', '--processes', String(processes), ...flags], env);
  await untilReady(supervisor, processes);
  return supervisor;
}

async function untilReady(supervisor: IsletProcess, count: number): Promise<void> {
  const look = () => expect(readyPids(supervisor).length).toBeGreaterThanOrEqual(count);
  await vi.waitFor(look, { timeout: 25_000, interval: 20 });
}

const readyPids = (supervisor: IsletProcess) => supervisor.lines({ msg: 'Worker ready' }).map(({ pid }) => Number(pid));

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const hold = (ms: number) => place.queue('kept').add('hold', { ms });

const holdings = (supervisor: IsletProcess, job: Job | undefined) =>
  supervisor.lines({ msg: 'Holding', jobId: job?.id });

/** Waits until the job's code runs. */
const holding = (supervisor: IsletProcess, job: Job | undefined) => supervisor.line({ msg: 'Holding', jobId: job?.id });

async function holdingAgain(supervisor: IsletProcess, job: Job | undefined): Promise<LogLine | undefined> {
  const look = () => {
    const [, second] = holdings(supervisor, job);
    expect(second).toBeDefined();
    return second;
  };
  return vi.waitFor(look, { timeout: 15_000, interval: 20 });
}

const timeOf = (line: LogLine | undefined) => Date.parse(String(line?.time));

async function crashesOf(job: Job | undefined): Promise<number> {
  const text = await client.hget(
    queueKey(placeOf({ name: 'kept' }, place.prefix), String(job?.id)),
    memoryFields.crashes,
  );
  return text ? text.split(' ').length : 0;
}

/** Adds a job each 25 ms until something has happened, and waits until all have ended. */
async function feed(supervisor: IsletProcess, jobMs: number, isOver: () => boolean): Promise<Job[]> {
  const adding: Promise<Job>[] = [];
  const timer = setInterval(() => adding.push(hold(jobMs)), 25);
  const over = () => expect(isOver()).toBe(true);
  await vi.waitFor(over, { timeout: 60_000 }).finally(() => clearInterval(timer));
  const jobs = await Promise.all(adding);
  const ended = () => expect(supervisor.lines({ msg: 'Job finished' }).length).toBeGreaterThanOrEqual(jobs.length);
  await vi.waitFor(ended, { timeout: 15_000 });
  return jobs;
}

function expectAllOnce(supervisor: IsletProcess, jobs: Job[]): void {
  const completed = supervisor.lines({ msg: 'Job finished' }).map(({ jobId, outcome }) => `${jobId} ${outcome}`);
  expect(completed.sort()).toEqual(jobs.map(({ id }) => `${id} completed`).sort());
}

/** Counts how many workers took jobs at least and at most, from when so many first did until the end. */
function fewestTakingJobs(supervisor: IsletProcess, from: number): { least: number; most: number } {
  const taking = new Set<number>();
  const counts: number[] = [];
  const stopAt = timeOf(supervisor.lines({ msg: 'Stopping all workers' })[0]);
  for (const line of supervisor.lines({}).sort((a, b) => timeOf(a) - timeOf(b))) {
    if (timeOf(line) >= stopAt) break;
    if (line.msg === 'Worker ready') taking.add(Number(line.pid));
    else if (line.msg === 'Draining') taking.delete(Number(line.pid));
    else continue;
    if (counts.length > 0 || taking.size >= from) counts.push(taking.size);
  }
  return { least: Math.min(...counts), most: Math.max(...counts) };
}
