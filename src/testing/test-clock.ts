import { setImmediate as nextTurn } from 'node:timers/promises';
import { expecting } from '../manifest/check-options.ts';
import type { Clock } from '../worker/clock.ts';
import { checkGiven } from './check-given.ts';

/** A clock that stands still until a test moves it. */
export interface TestClock extends Clock {
  /**
   * Moves the clock on by `ms` milliseconds, from timer to timer. Each timer's consequences come before the next one,
   * as far as they need no real time. Of several at once the one that goes furthest decides. Throws `E_TEST_INVALID`
   * unless `ms` is a finite number from 0: time does not run backwards.
   */
  advance(ms: number): Promise<void>;
  /** When the next timer runs out, in milliseconds since 1970. */
  readonly nextAt: number | undefined;
}

interface Timer {
  dueAt: number;
  run(): void;
}

/** Waits for what a timer sets off, which runs in promises, and these in turns of the event loop. */
async function letRun(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
}

/** Accepts what a clock can be set to, or moved by. */
export const isTime = expecting('a finite number from 0', (value) => Number.isFinite(value) && (value as number) >= 0);

/** Creates a clock that starts at `startAt`, in milliseconds since 1970. */
export function createTestClock(startAt: number): TestClock {
  const timers = new Set<Timer>();
  let now = startAt;
  const takeDue = (until: number) => {
    // Timers that are due at the same time run in the order in which they were set.
    let first: Timer | undefined;
    for (const timer of timers) if (timer.dueAt <= until && timer.dueAt < (first?.dueAt ?? Infinity)) first = timer;
    if (first) timers.delete(first);
    return first;
  };
  return {
    now: () => now,
    get nextAt() {
      let first: number | undefined;
      for (const { dueAt } of timers) first = Math.min(dueAt, first ?? dueAt);
      return first;
    },
    startTimer(ms, run) {
      const timer = { dueAt: now + ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async advance(ms) {
      checkGiven('The milliseconds of advance', ms, isTime);
      const until = now + ms;
      await letRun();
      for (let timer = takeDue(until); timer; timer = takeDue(until)) {
        now = Math.max(now, timer.dueAt);
        timer.run();
        await letRun();
      }
      now = Math.max(now, until);
    },
  };
}
