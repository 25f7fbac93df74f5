import { describe, expect, test } from 'vitest';
import type { Run } from '../../../../lab/chaos/ledger.ts';
import { stubbornMs } from '../../../../lab/chaos/limits.ts';
import { type Evidence, judge } from '../../../../lab/chaos/verdict.ts';
import type { PlannedJob, TaskName } from '../../../../lab/chaos/workload.ts';

const job = (id: string, task: TaskName = 'slow', ms = 1_000): PlannedJob => ({
  id,
  task,
  atMs: 0,
  payload: { ms, failures: 1 },
});

/** A start in process 1 at `startedAt`, of a job that `jobs` plans. */
const start = (jobId: string, startedAt: number, more: Partial<Run> = {}): Run => ({
  jobId,
  task: 'slow',
  pid: 1,
  attempt: 1,
  startedAt,
  ...more,
});

const failed = 'E_TASK_FAILED: Error: no';

const verdict = (evidence: Partial<Evidence>) =>
  judge({
    jobs: [],
    runs: [],
    failed: new Map(),
    held: new Set(),
    incidents: [],
    shutdowns: [],
    named: new Set(),
    ...evidence,
  });

test('tells completed, failed, lost and stuck apart', () => {
  const figures = verdict({
    jobs: ['done', 'failed', 'lost', 'gone-without-end', 'stuck', 'waiting'].map((id) => job(id)),
    runs: [start('done', 1, { endedAt: 2 }), start('gone-without-end', 1), start('stuck', 1, { endedAt: 2 })],
    failed: new Map([['failed', 'E_TASK_FAILED: Error: no']]),
    held: new Set(['stuck', 'waiting']),
  });
  expect(figures).toMatchObject({ enqueued: 6, completed: 1, failed: 1, lost: 2, stuck: 2 });
  expect(figures.failedByCode).toEqual({ E_TASK_FAILED: 1 });
  expect(figures.examples).toEqual({
    lost: ['lost', 'gone-without-end'],
    stuck: ['stuck', 'waiting'],
    goodHarmed: ['failed'],
  });
});

test('counts an at-most-once job that started twice, however its first start ended', () => {
  const jobs = [job('one', 'once'), job('two', 'once'), job('other')];
  const twice = (id: string) => [start(id, 1, { endedAt: 2 }), start(id, 3)];
  expect(verdict({ jobs, runs: [start('one', 1), ...twice('two'), ...twice('other')] }).atMostOnceDoubled).toBe(1);
});

describe('a second start', () => {
  const jobs = [job('a')];
  const runs = (before: Partial<Run>, after: Partial<Run> = {}) => [start('a', 100, before), start('a', 500, after)];

  test.each([
    ['after a failed attempt', { failedAt: 200 }],
    ['after a time-out', { abortedBy: 'E_TASK_TIMEOUT' }],
  ])('is a retry %s', (_what, before) => {
    expect(verdict({ jobs, runs: runs(before, { attempt: 2 }) }).runMoreThanOnce).toEqual({});
  });

  test.each([
    ['a failed attempt is run again under its number', { failedAt: 200 }, 1],
    ['a lost lock uses an attempt', { abortedBy: 'E_LOCK_LOST' }, 2],
  ])('is extra when %s', (_what, before, attempt) => {
    expect(verdict({ jobs, runs: runs(before, { attempt }) }).runMoreThanOnce).toEqual({ unexplained: 1 });
  });

  test.each([
    ['sigkill', { kind: 'sigkill', pid: 1, from: 200, to: 200 }],
    ['redis-kill', { kind: 'redis-kill', from: 50, to: 150 }],
    ['unexplained', { kind: 'sigkill', pid: 2, from: 200, to: 200 }],
    ['unexplained', { kind: 'redis-kill', from: 600, to: 700 }],
    ['redis-kill', { kind: 'redis-kill', from: -1_000, to: -900 }],
    ['unexplained', { kind: 'redis-kill', from: -1_000, to: -901 }],
  ])('is blamed on %s by %j', (fault, incident) => {
    expect(verdict({ jobs, runs: runs({}), incidents: [incident] }).runMoreThanOnce).toEqual({ [fault]: 1 });
  });

  test('is blamed on the surest of several faults', () => {
    const incidents = ['drops', 'freeze', 'redis-freeze'].map((kind) => ({ kind, from: 200, to: 300 }));
    expect(verdict({ jobs, runs: runs({}), incidents }).runMoreThanOnce).toEqual({ freeze: 1 });
  });

  test('is blamed on the block of a blocking job in the same process', () => {
    const blocking = start('b', 150, { task: 'blocking' });
    const figures = verdict({ jobs: [...jobs, job('b', 'blocking')], runs: [...runs({}), blocking] });
    expect(figures).toMatchObject({ runMoreThanOnce: { blocks: 1 }, blocksUnnamed: 1 });
  });

  test('is blamed on the standstill of its own process, which had fetched the job before', () => {
    const late = runs({ endedAt: 200 }, { pid: 2 });
    const by = (kind: string) => verdict({ jobs, runs: late, incidents: [{ kind, pid: 2, from: 50, to: 499 }] });
    expect(by('freeze').runMoreThanOnce).toEqual({ freeze: 1 });
    expect(by('restarts').runMoreThanOnce).toEqual({ unexplained: 1 });
  });

  test('is a release where the ledger has one, and a doubled job when it fits the grace', () => {
    const released = runs({ abortedBy: 'E_JOB_RELEASED' });
    expect(verdict({ jobs, runs: released })).toMatchObject({
      runMoreThanOnce: { release: 1 },
      releasesLedgered: 1,
      releasesCounted: 0,
      restartsDoubled: 1,
    });
    expect(verdict({ jobs: [job('a', 'stubborn', stubbornMs)], runs: released }).restartsDoubled).toBe(0);
  });

  test('of a released job counts its attempt when the number rose', () => {
    const counted = runs({ abortedBy: 'E_JOB_RELEASED' }, { attempt: 2 });
    expect(verdict({ jobs, runs: counted }).releasesCounted).toBe(1);
  });

  test('after a job that finished in an outage is told', () => {
    const incidents = [{ kind: 'redis-freeze', from: 150, to: 250 }];
    const again = (endedAt: number) => verdict({ jobs, runs: runs({ endedAt }), incidents }).finishedInOutageRunAgain;
    expect([again(140), again(200), again(260)]).toEqual([0, 1, 0]);
  });
});

describe('crash to rerun', () => {
  const incidents = [{ kind: 'sigkill', pid: 1, from: 1_000, to: 1_000 }];

  test('measures from the kill to the next start of each job that it interrupted', () => {
    const runs = [
      ...['a', 'b', 'c'].map((id) => start(id, 900)),
      start('over', 900, { endedAt: 950 }),
      start('elsewhere', 900, { pid: 2 }),
      ...['a', 'b', 'c', 'over', 'elsewhere'].map((id, at) => start(id, 1_100 + at * 100, { pid: 3 })),
    ];
    expect(verdict({ runs, incidents }).crashToRerunMs).toEqual({ count: 3, median: 200, max: 300 });
  });

  test('counts the interrupted jobs that never start again, at-most-once jobs apart', () => {
    const runs = [start('a', 900), start('b', 900, { task: 'once' })];
    expect(verdict({ runs, incidents })).toMatchObject({ neverRerun: 1, crashToRerunMs: { count: 0, median: null } });
  });
});

test('counts shutdowns that took longer than the grace and 2 s', () => {
  const shutdowns = [6_999, 7_000, 7_001].map((tookMs) => ({ pid: 1, at: 0, tookMs }));
  expect(verdict({ shutdowns })).toMatchObject({ shutdowns: 3, shutdownsOverDeadline: 1 });
});

test('calls a poisoned job innocent unless its task ends its process', () => {
  const jobs = [job('a', 'slow'), job('b', 'stray')];
  const failed = new Map(jobs.map(({ id }) => [id, 'E_POISONED: crashed 3 times']));
  expect(verdict({ jobs, failed })).toMatchObject({ failedByCode: { E_POISONED: 2 }, poisonedInnocents: 1 });
});

describe('a good job that failed', () => {
  const harmed = (job: PlannedJob, reason: string) => verdict({ jobs: [job], failed: new Map([[job.id, reason]]) });

  test.each([
    ['an at-most-once job that was interrupted', job('a', 'once'), 'E_JOB_INTERRUPTED: its code had started', 0],
    ['a job that fails on all its attempts', { ...job('a', 'failing'), payload: { ms: 1, failures: 3 } }, failed, 0],
    ['a job that fails on its first attempt only', job('a', 'failing'), failed, 1],
    ['a job that does not fail by itself', job('a', 'fast'), failed, 1],
    ['a hostile job', job('a', 'hostile-thread'), failed, 0],
    ['a foreign job', job('a', 'foreign'), 'E_JOB_CORRUPT: its options are no JSON', 0],
  ] as const)('counts as harmed unless that is explained: %s', (_what, planned, reason, count) => {
    expect(harmed(planned, reason).goodHarmed).toBe(count);
  });
});
