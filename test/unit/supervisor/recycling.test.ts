import { describe, expect, test } from 'vitest';
import { drawMaxAge, mustStopNow, whyRecycle } from '../../../src/supervisor/recycling.ts';

const none = { maxAgeMs: undefined, maxAgeVarianceMs: 0, maxJobs: undefined, maxMemoryMb: undefined };

describe('the age of a process', () => {
  const limits = { ...none, maxAgeMs: 60_000, maxAgeVarianceMs: 10_000 };

  test.each([
    [0, 50_000],
    [0.5, 60_000],
    [0.75, 65_000],
  ])('is drawn from the variance around it: %d gives %d', (random, ageMs) => {
    expect(drawMaxAge(limits, () => random)).toBe(ageMs);
  });

  test('is a second at least', () => {
    expect(drawMaxAge({ ...limits, maxAgeVarianceMs: 60_000 }, () => 0)).toBe(1_000);
  });

  test('is unlimited without one', () => {
    expect(drawMaxAge(none, () => 0)).toBeUndefined();
  });
});

describe('a process is recycled', () => {
  const limits = { maxAgeMs: 1_000, maxJobs: 10, maxMemoryMb: 100 };
  const young = { ageMs: 999, jobs: 9, rssMb: 99 };

  test.each([
    [{}, undefined],
    [{ ageMs: 1_000 }, 'age'],
    [{ jobs: 10 }, 'jobs'],
    [{ rssMb: 100 }, 'memory'],
    [{ ageMs: 1_000, jobs: 10 }, 'jobs'],
    [{ ageMs: 1_000, jobs: 10, rssMb: 100 }, 'memory'],
  ])('at %j because of %s', (state, why) => {
    expect(whyRecycle({ ...young, ...state }, limits)).toBe(why);
  });

  test('never without limits', () => {
    expect(whyRecycle({ ageMs: 1e12, jobs: 1e9, rssMb: 1e6 }, none)).toBeUndefined();
  });
});

test('a process stops by itself at one and a half of its memory', () => {
  expect([149, 150].map((rssMb) => mustStopNow({ rssMb }, 100))).toEqual([false, true]);
  expect(mustStopNow({ rssMb: 1e6 }, undefined)).toBe(false);
});
