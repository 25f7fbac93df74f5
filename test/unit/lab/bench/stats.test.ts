import { expect, test } from 'vitest';
import { quantile, summarize } from '../../../../lab/bench/stats.ts';

test('sums up samples as their median and spread, in whatever order they came', () => {
  expect(summarize([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9, samples: [9, 1, 5] });
  expect(summarize([4, 1, 2, 10]).median).toBe(3);
});

test('sums up nothing when there is no sample', () => {
  expect(() => summarize([])).toThrow('no sample');
});

test('finds the value below which a share lies', () => {
  const numbers = Array.from({ length: 100 }, (_, n) => 99 - n);
  expect([quantile(numbers, 0.5), quantile(numbers, 0.99), quantile(numbers, 1)]).toEqual([50, 99, 99]);
});
