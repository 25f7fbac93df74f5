import { afterEach, describe, expect, test, vi } from 'vitest';
import { UnblockedClock } from '../../../src/worker/clock.ts';

const clocks: UnblockedClock[] = [];

afterEach(() => {
  for (const clock of clocks.splice(0)) clock.close();
});

const open = () => {
  const clock = new UnblockedClock();
  clocks.push(clock);
  return clock;
};

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Waits for a beat, so that the next block begins at a known place. */
const nextBeat = (clock: { blockedMs(): number }, before = clock.blockedMs()) =>
  vi.waitFor(() => expect(clock.blockedMs()).toBeGreaterThan(before), { interval: 5 });

describe("the blocked time of a worker's clock", () => {
  test('adds up the blocks, the one that has just ended included', async () => {
    const clock = open();
    block(400);
    const first = clock.blockedMs();
    expect(first).toBeGreaterThanOrEqual(290);
    expect(first).toBeLessThan(600);
    await nextBeat(clock);
    const between = clock.blockedMs();
    block(300);
    expect(clock.blockedMs() - between).toBeGreaterThanOrEqual(190);
  });

  test('counts a block once, before and after its beat', async () => {
    const clock = open();
    block(400);
    const before = clock.blockedMs();
    await new Promise((resolve) => setImmediate(() => setTimeout(resolve, 0)));
    expect(clock.blockedMs()).toBeLessThan(before + 90);
    expect(clock.blockedMs()).toBeGreaterThanOrEqual(before - 90);
  });
});

describe("a timer of a worker's clock", () => {
  const fires = async (ms: number, work: () => void) => {
    const startedAt = performance.now();
    const fired = new Promise<number>((resolve) => {
      open().startTimer(ms, () => resolve(performance.now() - startedAt));
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
    const stop = open().startTimer(300, run);
    block(400);
    // The timer has been set again by now, for what the block took.
    await new Promise((resolve) => setTimeout(resolve, 0));
    stop();
    await fires(400, () => {});
    expect(run).not.toHaveBeenCalled();
  });
});
