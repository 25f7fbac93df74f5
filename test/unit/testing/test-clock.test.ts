import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createTestApp } from '../../../src/testing/test-app.ts';
import { createTestClock } from '../../../src/testing/test-clock.ts';

test('the clock goes as far as the furthest of several advances, and never back', async () => {
  const clock = createTestClock(1_000);
  const times: number[] = [];
  for (const ms of [10, 50, 90]) clock.startTimer(ms, () => times.push(clock.now()));
  await Promise.all([clock.advance(100), clock.advance(20), clock.advance(0)]);
  expect(times).toEqual([1_010, 1_050, 1_090]);
  expect(clock.now()).toBe(1_100);

  const far = clock.advance(100);
  await nextTurn();
  // This job ends after the other one.
  await Promise.all([far, clock.advance(20)]);
  expect(clock.now()).toBe(1_200);
});

test('the clock knows when its next timer runs out', async () => {
  const clock = createTestClock(0);
  expect(clock.nextAt).toBeUndefined();
  const stop = clock.startTimer(5, () => {});
  clock.startTimer(9, () => {});
  expect(clock.nextAt).toBe(5);
  stop();
  expect(clock.nextAt).toBe(9);
  await clock.advance(9);
  expect(clock.nextAt).toBeUndefined();
});

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '5', undefined])('advance refuses %s', async (ms) => {
  const app = createTestApp({ tasks: [], startAt: 5 });
  await expect(app.advance(ms as number)).rejects.toMatchObject({
    code: 'E_TEST_INVALID',
    message: `The milliseconds of advance: expected a finite number from 0, got ${typeof ms === 'string' ? `"${ms}"` : ms}.`,
  });
  expect(app.now()).toBe(5);
});

test.each([-1, Number.NaN, new Date(0)])('createTestApp refuses to start at %s', (startAt) => {
  expect(() => createTestApp({ tasks: [], startAt: startAt as number })).toThrow(
    /^An option of createTestApp does not parse: `startAt`: expected a finite number from 0, got /,
  );
});
