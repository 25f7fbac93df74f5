import { describe, expect, test } from 'vitest';
import { lockMs } from '../../../../lab/chaos/limits.ts';
import { createSchedule, faultKinds } from '../../../../lab/chaos/schedule.ts';

const mix = { seed: 1, durationMs: 180_000, workers: 4 };
const all = (options: Parameters<typeof createSchedule>[0]) => {
  const { workers, redis } = createSchedule(options);
  return [...workers, ...redis];
};

const unscheduled = new Set<string>(['blocks', 'recycling', 'hostile']);

test('the same seed gives the same schedule, another seed another one', () => {
  expect(createSchedule(mix)).toEqual(createSchedule(mix));
  expect(createSchedule({ ...mix, seed: 2 })).not.toEqual(createSchedule(mix));
});

describe.each([1, 2, 3, 4, 5])('seed %i over three minutes', (seed) => {
  test('has every kind of fault at least twice, those that jobs and supervisors make apart', () => {
    const kinds = all({ ...mix, seed }).map(({ kind }) => kind);
    for (const kind of faultKinds.filter((known) => !unscheduled.has(known))) {
      expect(kinds.filter((found) => found === kind).length, kind).toBeGreaterThanOrEqual(2);
    }
  });

  test('lets each fault of a lane be over before the next, and the last one before the end', () => {
    const { workers, redis } = createSchedule({ ...mix, seed });
    for (const lane of [workers, redis]) {
      const ends = lane.map(({ atMs, forMs }) => atMs + forMs);
      expect(lane.slice(1).every(({ atMs }, at) => atMs > (ends[at] ?? 0))).toBe(true);
      expect(ends.at(-1)).toBeLessThanOrEqual(mix.durationMs);
    }
  });
});

test('freezes a worker for longer than the lock', () => {
  const freezes = all({ ...mix, only: 'freeze' });
  expect(freezes.every(({ kind, forMs }) => kind === 'freeze' && forMs > lockMs)).toBe(true);
});

test('restarts alone replace at least 20 processes in three minutes', () => {
  expect(all({ ...mix, only: 'restarts' }).length * mix.workers).toBeGreaterThanOrEqual(20);
});

test.each(['blocks', 'recycling'] as const)('%s alone schedule nothing: jobs and supervisors make them', (only) => {
  expect(all({ ...mix, only })).toEqual([]);
});

test('kills workers beside hostile jobs, and leaves Redis alone', () => {
  const { workers, redis } = createSchedule({ ...mix, only: 'hostile' });
  expect(new Set(workers.map(({ kind }) => kind))).toEqual(new Set(['sigkill']));
  expect(redis).toEqual([]);
});

test('hits only workers that exist', () => {
  const numbers = all({ ...mix, workers: 2 }).map(({ worker }) => worker);
  expect(new Set(numbers)).toEqual(new Set([0, 1]));
});
