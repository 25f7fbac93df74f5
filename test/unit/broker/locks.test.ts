import { beforeEach, expect, test, vi } from 'vitest';
import type { FetchedJob } from '../../../src/broker/bullmq-internals.ts';
import { placeOf } from '../../../src/broker/keys.ts';
import { Locks } from '../../../src/broker/locks.ts';
import { QueueHandle } from '../../../src/broker/queue-handle.ts';
import type { WorkerScope } from '../../../src/broker/worker-scope.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

test('a lock is renewed soon after Redis takes writes again, however long it lasts', async () => {
  const durationMs = 60_000;
  let isRefused = true;
  const evalsha = vi.fn(async () => {
    if (isRefused) throw new Error('NOREPLICAS Not enough good replicas to write.');
    return ['held'];
  });
  const queue = new QueueHandle({ options: {}, evalsha } as never, placeOf({ name: 'mail' }, 'test'));
  const options = { queue: { lockDurationMs: durationMs } };
  const locks = new Locks({ queue, workerId: 'w', options, onTrouble() {} } as unknown as WorkerScope);
  locks.hold({ id: '1', token: 'w:0', attemptsStarted: 1 } as FetchedJob);
  await vi.advanceTimersByTimeAsync(durationMs);
  isRefused = false;
  evalsha.mockClear();
  await vi.advanceTimersByTimeAsync(600);
  expect(evalsha).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(durationMs / 4);
  expect(evalsha).toHaveBeenCalledTimes(2);
  locks.close();
});
