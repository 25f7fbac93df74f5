import { expect, test } from 'vitest';
import { pauseBeforeStart } from '../../../src/supervisor/restarts.ts';

test.each([
  [0, 0, 0],
  [1, 0, 0],
  [2, 250, 500],
  [3, 500, 1_000],
  [4, 1_000, 2_000],
  [60, 15_000, 30_000],
])('after %d early deaths in a row the pause is %d to %d ms', (deaths, least, longest) => {
  expect(pauseBeforeStart(deaths, () => 0)).toBe(least);
  expect(pauseBeforeStart(deaths, () => 1)).toBe(longest);
});
