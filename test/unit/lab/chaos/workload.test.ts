import { expect, test } from 'vitest';
import { createWorkload } from '../../../../lab/chaos/workload.ts';

const options = { seed: 1, jobs: 1_000, durationMs: 180_000 };
const count = (jobs: ReturnType<typeof createWorkload>, task: string) => jobs.filter((job) => job.task === task).length;

test('the same seed gives the same jobs, another seed others', () => {
  expect(createWorkload(options)).toEqual(createWorkload(options));
  const tasks = (seed: number) => createWorkload({ ...options, seed }).map(({ task }) => task);
  expect(tasks(2)).not.toEqual(tasks(1));
});

test('the mix has every kind of task, the harmful ones rarely', () => {
  const jobs = createWorkload(options);
  for (const task of ['fast', 'slow', 'once', 'failing']) expect(count(jobs, task)).toBeGreaterThan(50);
  for (const task of ['blocking', 'stray', 'stubborn']) expect(count(jobs, task)).toBeGreaterThanOrEqual(3);
  for (const task of ['blocking', 'stray', 'stubborn']) expect(count(jobs, task)).toBeLessThan(10);
});

test('one kind of fault alone is not disturbed by harmful jobs', () => {
  const jobs = createWorkload({ ...options, only: 'sigkill' });
  expect(count(jobs, 'blocking') + count(jobs, 'stray') + count(jobs, 'stubborn')).toBe(0);
});

test('jobs come in order over the whole time, each with an id of its own', () => {
  const jobs = createWorkload(options);
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(options.jobs);
  expect(jobs.map(({ atMs }) => atMs)).toEqual(jobs.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
  expect(jobs.at(-1)?.atMs).toBeGreaterThan(options.durationMs * 0.99);
});

test('hostile jobs of every pool and foreign jobs are among good ones, and the same seed makes the same of them', () => {
  const jobs = createWorkload({ seed: 1, jobs: 2_000, durationMs: 25_000, only: 'hostile' });
  expect(createWorkload({ seed: 1, jobs: 2_000, durationMs: 25_000, only: 'hostile' })).toEqual(jobs);
  for (const task of ['hostile-async', 'hostile-thread', 'hostile-process']) {
    expect(count(jobs, task)).toBeGreaterThan(50);
    expect(jobs.filter((job) => job.task === task).every(({ hostile }) => hostile !== undefined)).toBe(true);
  }
  expect(count(jobs, 'foreign')).toBeGreaterThan(100);
  expect(jobs.filter(({ stored }) => stored !== undefined).every(({ task }) => task === 'foreign')).toBe(true);
  expect(count(jobs, 'fast') + count(jobs, 'slow') + count(jobs, 'once')).toBeGreaterThan(800);
});
