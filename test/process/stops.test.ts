import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Job } from 'bullmq';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fixtureApp, type IsletProcess, killAll, type LogLine, startIslet, within } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const ok = { code: 0, signal: null };
const failed = { code: 1, signal: null };
const linux = process.platform === 'linux';
/** A stop that has nothing to wait for takes at most so long. */
const idleStopMs = 2_000;

let place: RedisPlace;

beforeEach(() => {
  place = openRedisPlace();
});

afterEach(async () => {
  await killAll();
  await place.close();
});

describe('what escapes while a worker drains', () => {
  const escapes = 'An exception escaped: the worker stops';

  test.each(['throw-at-stop', 'reject-at-stop'])('ends it with 1, and its jobs go back: %s', async (behaviour) => {
    const worker = await startWorker({ HOLD_MS: '20000' });
    const jobs = [await act('hold'), await act(behaviour)];
    for (const job of jobs) await acting(worker, job);
    expect(await worker.stop()).toEqual(failed);
    await worker.line({ msg: escapes, level: 60 });
    await worker.line({ msg: 'Worker stopped', exitCode: 1 });
    for (const job of jobs) await worker.outcome(job.id, 'released');
    expect(await Promise.all(jobs.map((job) => job.getState()))).toEqual(['waiting', 'waiting']);
  });

  test('ends its parent with 1, too', async () => {
    const parent = await startWorker({}, ['--processes', '1']);
    await acting(parent, await act('throw-at-stop'));
    expect(await parent.stop()).toEqual(failed);
    await parent.line({ msg: escapes, level: 60 });
    await parent.line({ msg: 'A worker did not end as it was asked', code: 1 });
    await parent.line({ msg: 'Supervisor stopped', exitCode: 1 });
  });

  test('is told when dependencies cannot be closed: the jobs are given back, and it ends with 1', async () => {
    const worker = await startWorker({ DISPOSE: 'throw', HOLD_MS: '20000', WORKER_GRACEFUL_TIMEOUT: '100' });
    const job = await act('hold');
    await acting(worker, job);
    expect(await worker.stop()).toEqual(failed);
    const line = await worker.line({ msg: 'The stop failed', level: 50 });
    expect(line.error).toContain('cannot be closed');
    expect(await job.getState()).toBe('waiting');
  });

  test('ends it with 1 from what closes, too', async () => {
    const worker = await startWorker({ DISPOSE: 'throw-astray' });
    expect(await worker.stop()).toEqual(failed);
    expect((await worker.line({ msg: escapes })).error).toContain('closed astray');
  });
});

describe.each(['SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const)('%s', (signal) => {
  test('lets a worker finish its job, and ends it with 0', async () => {
    const worker = await startWorker();
    const job = await act('wait');
    await acting(worker, job);
    worker.kill(signal);
    expect(await worker.exited).toEqual(ok);
    await worker.line({ msg: 'Draining', signal });
    await worker.outcome(job.id, 'completed');
  });

  test('after another signal, over a second later, aborts; before that it is the same one', async () => {
    const worker = await startWorker({ HOLD_MS: '20000' });
    const job = await act('hold');
    await acting(worker, job);
    worker.kill('SIGTERM');
    await worker.line({ msg: 'Draining' });
    const again = setInterval(() => worker.kill(signal), 200);
    const askedAt = Date.now();
    expect(await worker.exited.finally(() => clearInterval(again))).toEqual(ok);
    expect(Date.now() - askedAt).toBeGreaterThan(900);
    await worker.outcome(job.id, 'released');
  });

  test('ends a worker soon that has not started yet', async () => {
    const worker = launch({ OPEN_MS: '20000' });
    await worker.line({ msg: 'Dependencies opening' });
    const askedAt = Date.now();
    worker.kill(signal);
    expect(await worker.exited).toEqual(ok);
    expect(Date.now() - askedAt).toBeLessThan(idleStopMs);
  });
});

describe('a terminal signals all processes of its group', () => {
  test.each([
    ['SIGINT', 'Stopping all workers'],
    ['SIGQUIT', 'Stopping all workers'],
    ['SIGHUP', 'Replacing all workers, one by one'],
    ['SIGUSR2', 'Status'],
  ] as const)('%s: workers do as their parent says, and their jobs finish', async (signal, msg) => {
    const parent = await startWorker({}, ['--processes', '2'], true);
    await vi.waitFor(() => expect(parent.lines({ msg: 'Worker ready' })).toHaveLength(2), { timeout: 10_000 });
    const jobs = await Promise.all([act('wait'), act('wait')]);
    for (const job of jobs) await acting(parent, job);
    parent.kill(signal);
    await parent.line({ msg });
    for (const job of jobs) await parent.outcome(job.id, 'completed');
    if (msg !== 'Stopping all workers') process.kill(parent.lines({ msg })[0]?.pid as number, 'SIGTERM');
    expect(await within(parent.exited, 10_000, 'the end')).toEqual(ok);
    expect(parent.lines({ msg: 'A worker died: it is replaced' })).toEqual([]);
    expect(parent.lines({ msg: 'A worker did not end as it was asked' })).toEqual([]);
  });

  test.each(['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const)('%s: the processes of pools go on', async (signal) => {
    const worker = await startPools();
    const job = await unit('pause-briefly');
    const { pid } = await acting(worker, job);
    // Its own group is not the terminal's, but others signal each process of a tree.
    process.kill(Number(pid), signal);
    worker.kill(signal);
    expect(await worker.exited).toEqual(ok);
    await worker.outcome(job.id, 'completed');
  });

  test('SIGTSTP: the worker goes on where it was at SIGCONT', async () => {
    const worker = await startWorker();
    const job = await act('wait');
    await acting(worker, job);
    worker.kill('SIGTSTP');
    worker.kill('SIGCONT');
    await worker.outcome(job.id, 'completed');
    expect(await worker.stop()).toEqual(ok);
  });
});

describe.runIf(linux)('what a process of a pool has started ends with it', () => {
  test('at a time-out, whether its code listens to the signal or not', async () => {
    const worker = await startPools();
    for (const behaviour of ['start-and-wait', 'start-and-listen']) {
      const job = await unit(behaviour);
      const { child } = await worker.line({ msg: 'Started', jobId: job.id });
      await worker.outcome(job.id, 'failed');
      await vi.waitFor(() => expect(lives(child)).toBe(false), { timeout: 2_000, interval: 20 });
    }
  });

  test('when it ends by itself', async () => {
    const worker = await startPools();
    const job = await unit('start-and-exit');
    const { child } = await worker.line({ msg: 'Started', jobId: job.id });
    await worker.outcome(job.id, 'failed');
    await vi.waitFor(() => expect(lives(child)).toBe(false), { timeout: 2_000, interval: 20 });
  });

  test.each(['start-and-wait', 'start-and-spin'])('when its worker is killed: %s', async (behaviour) => {
    const worker = await startPools();
    const job = await unit(behaviour);
    const { child, pid } = await worker.line({ msg: 'Started', jobId: job.id });
    worker.kill('SIGKILL');
    await vi.waitFor(() => expect([pid, child].filter(lives)).toEqual([]), { timeout: 3_000, interval: 20 });
  });

  test('at the stop of its worker', async () => {
    const worker = await startPools({ WORKER_GRACEFUL_TIMEOUT: '100' });
    const job = await unit('start-and-wait');
    const { child, pid } = await worker.line({ msg: 'Started', jobId: job.id });
    expect(await worker.stop()).toEqual(ok);
    await vi.waitFor(() => expect([pid, child].filter(lives)).toEqual([]), { timeout: 3_000, interval: 20 });
  });
});

describe('a process of a pool that is killed as it starts', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'islet-stops-'));
    file = join(folder, 'deaths');
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function run(deaths: number, name: string, data: object) {
    const worker = await startPools({ DEATHS_FILE: file });
    writeFileSync(file, String(deaths));
    return { worker, job: await place.queue('units').add(name, data) };
  }

  test('costs a job that has not started nothing: the next process runs it', async () => {
    const { worker, job } = await run(2, 'pay-in-process', {});
    await worker.line({ msg: 'Acting', jobId: job.id, attempt: 1 }, 20_000);
    expect(readFileSync(file, 'utf8')).toBe('0');
    expect(worker.lines({ msg: 'Job finished' })).toEqual([]);
  });

  test('fails its job after the third in a row, and says what ended it', async () => {
    const { worker, job } = await run(3, 'in-process', { behaviour: 'finish' });
    const line = await worker.outcome(job.id, 'failed');
    expect(line).toMatchObject({ code: 'E_TASK_LOAD_FAILED', error: expect.stringContaining('SIGKILL') });
    const next = await unit('finish');
    await worker.outcome(next.id, 'completed');
  });
});

test.each([[[]], [['--processes', '1']]])(
  '--verbose shows the stack of what keeps a worker from its start: %j',
  async (flags) => {
    const worker = startIslet(['worker', '--queue', 'broken', '--verbose', ...flags], {
      cwd: fixtureApp('behaviours'),
      env: place.env,
    });
    const shown = () =>
      expect(worker.stderr()).toMatch(/E_DEPENDENCIES_FAILED: .*\n\s+at [\s\S]*caused by .*no such library/);
    await vi.waitFor(shown, { timeout: 10_000 });
  },
);

function launch(env: Record<string, string> = {}, flags: string[] = [], group = false): IsletProcess {
  // A command of its own is signalled with all processes of its group.
  const command: [string, string] | undefined = group ? [process.execPath, resolve('bin/islet.js')] : undefined;
  const options = { cwd: fixtureApp('behaviours'), env: { ...place.env, ...env }, command };
  return startIslet(['worker', '--queue', 'main', ...flags], options as Parameters<typeof startIslet>[1]);
}

async function startWorker(env: Record<string, string> = {}, flags: string[] = [], group = false) {
  const worker = launch(env, flags, group);
  await worker.line({ msg: 'Worker ready' }, 20_000);
  return worker;
}

async function startPools(env: Record<string, string> = {}): Promise<IsletProcess> {
  const options = { cwd: fixtureApp('pools'), env: { ...place.env, ...env } };
  const worker = startIslet(['worker', '--queue', 'units'], options);
  await worker.line({ msg: 'Worker ready' }, 20_000);
  return worker;
}

const act = (behaviour: string): Promise<Job> => place.queue('main').add('act', { behaviour });
const unit = (behaviour: string): Promise<Job> => place.queue('units').add('in-process', { behaviour });

/** Waits until the job's code runs. */
const acting = (worker: IsletProcess, job: Job): Promise<LogLine> => worker.line({ msg: 'Acting', jobId: job.id });

/** Whether a process runs; a zombie has ended. */
function lives(pid: unknown): boolean {
  if (!readdirSync('/proc').includes(String(pid))) return false;
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
