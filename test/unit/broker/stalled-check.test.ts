import { beforeEach, expect, test, vi } from 'vitest';
import { placeOf } from '../../../src/broker/keys.ts';
import type { Locks } from '../../../src/broker/locks.ts';
import { QueueHandle } from '../../../src/broker/queue-handle.ts';
import { lookForStalled, putBack } from '../../../src/broker/scripts.ts';
import { StalledCheck } from '../../../src/broker/stalled-check.ts';
import type { WorkerScope } from '../../../src/broker/worker-scope.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

/** Starts the check of a worker that holds no job, on a Redis that gives this answer to each look. */
function startCheck(answer: () => Promise<unknown>) {
  const evalsha = vi.fn((sha: string) => (sha === lookForStalled.sha ? answer() : Promise.resolve(1)));
  const onSilence = vi.fn();
  const scope = {
    queue: new QueueHandle({ options: {}, evalsha, disconnect: onSilence } as never, placeOf({ name: 'mail' }, 'test')),
    workerId: 'w',
    options: { queue: { stalledCheckMs: 15_000 } },
    onTrouble(error: unknown) {
      throw error;
    },
  };
  const locks = { holds: new Map() } as unknown as Locks;
  const check = new StalledCheck(scope as unknown as WorkerScope, locks, () => {});
  const calls = (sha: string) => evalsha.mock.calls.filter(([called]) => called === sha).length;
  return { check, onSilence, looks: () => calls(lookForStalled.sha), putBacks: () => calls(putBack.sha) };
}

test('connects again and again while Redis is silent: the next connection may be dead, too', async () => {
  const { check, onSilence } = startCheck(() => new Promise(() => {}));
  await vi.advanceTimersByTimeAsync(31_000);
  expect(onSilence).toHaveBeenCalledTimes(2);
  check.close();
});

test('gives back a job that Redis takes for ours a second after it was first seen, however long the interval is', async () => {
  const { check, putBacks } = startCheck(async () => [[], ['1', 'w:0']]);
  await vi.advanceTimersByTimeAsync(900);
  expect(putBacks()).toBe(0);
  await vi.advanceTimersByTimeAsync(200);
  expect(putBacks()).toBe(1);
  check.close();
});

test('looks again soon after an outage, for what was handed out with the lost replies', async () => {
  const { check, looks } = startCheck(async () => [[], []]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(looks()).toBe(1);
  check.soon();
  await vi.advanceTimersByTimeAsync(1_500);
  expect(looks()).toBe(3);
  check.close();
});
