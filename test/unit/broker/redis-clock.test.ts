import type { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { RedisClock } from '../../../src/broker/redis-clock.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A Redis whose clock is ahead of the machine's by so many milliseconds. */
function openClock(aheadMs: number) {
  const machine = Date.now;
  const time = vi.fn(async () => {
    const now = machine() + aheadMs;
    return [Math.floor(now / 1_000), (now % 1_000) * 1_000];
  });
  return { clock: new RedisClock({ on: () => {}, time } as unknown as Redis), time, machine };
}

test('goes by the clock of Redis once that was asked', async () => {
  const { clock, machine } = openClock(600_000);
  expect(Math.abs(clock.now() - machine())).toBeLessThan(1_000);
  await clock.measure();
  expect(Math.abs(clock.now() - machine() - 600_000)).toBeLessThan(1_000);
  expect(clock.describeSkew()).toContain("ahead of this machine's");
});

test("asks again when this machine's clock has jumped, and does not take the jump for a difference", async () => {
  const { clock, time, machine } = openClock(0);
  await clock.measure();
  clock.now();
  expect(time).toHaveBeenCalledTimes(1);
  vi.spyOn(Date, 'now').mockImplementation(() => machine() + 270_000);
  expect(clock.describeSkew()).toBeUndefined();
  expect(time).toHaveBeenCalledTimes(2);
  await Promise.resolve();
  expect(Math.abs(clock.now() - machine())).toBeLessThan(1_000);
  expect(time).toHaveBeenCalledTimes(2);
});
