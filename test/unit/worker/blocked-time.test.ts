import { afterEach, describe, expect, test, vi } from 'vitest';
import { createBlockedTime, startUnblockedTimer } from '../../../src/worker/blocked-time.ts';

const clocks: ReturnType<typeof createBlockedTime>[] = [];

afterEach(() => {
  for (const clock of clocks.splice(0)) clock.close();
});

const open = () => {
  const clock = createBlockedTime();
  clocks.push(clock);
  return clock;
};

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** A beat has passed, so the next block begins at a known place. */
const nextBeat = (clock: { totalMs(): number }, before = clock.totalMs()) =>
  vi.waitFor(() => expect(clock.totalMs()).toBeGreaterThan(before), { interval: 5 });

describe('createBlockedTime', () => {
  test('adds up the blocks, the one that has just ended included', async () => {
    const clock = open();
    block(400);
    const first = clock.totalMs();
    expect(first).toBeGreaterThanOrEqual(290);
    expect(first).toBeLessThan(600);
    await nextBeat(clock);
    const between = clock.totalMs();
    block(300);
    expect(clock.totalMs() - between).toBeGreaterThanOrEqual(190);
  });

  test('counts a block once, before and after its beat', async () => {
    const clock = open();
    block(400);
    const before = clock.totalMs();
    await new Promise((resolve) => setImmediate(() => setTimeout(resolve, 0)));
    expect(clock.totalMs()).toBeLessThan(before + 90);
    expect(clock.totalMs()).toBeGreaterThanOrEqual(before - 90);
  });
});

describe('startUnblockedTimer', () => {
  const fires = async (ms: number, work: () => void) => {
    const startedAt = performance.now();
    const fired = new Promise<number>((resolve) => {
      startUnblockedTimer(open(), ms, () => resolve(performance.now() - startedAt));
    });
    work();
    return fired;
  };

  test('fires in time without a block', async () => {
    const ms = await fires(150, () => {});
    expect(ms).toBeGreaterThanOrEqual(148);
    expect(ms).toBeLessThan(1_000);
  });

  test('gives back what a block took', async () => {
    expect(await fires(200, () => block(600))).toBeGreaterThanOrEqual(600 + 200 - 110);
  });

  test('does not fire when it was stopped after a block', async () => {
    const run = vi.fn();
    const stop = startUnblockedTimer(open(), 300, run);
    block(400);
    // It has been set again by now, for what the block took.
    await new Promise((resolve) => setTimeout(resolve, 0));
    stop();
    await fires(400, () => {});
    expect(run).not.toHaveBeenCalled();
  });
});
