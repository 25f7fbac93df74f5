import { describe, expect, test } from 'vitest';
import type { Crash, Delivery } from '../../../src/broker/broker.ts';
import { workerDefaults } from '../../../src/manifest/defaults.ts';
import { decide } from '../../../src/worker/decide.ts';
import type { UnitPool } from '../../../src/worker/pools/unit-pool.ts';
import { deliver, payOut, sendEmail } from './delivery.ts';

const now = Date.parse('2026-01-02T12:00:00Z');
const tasks = new Map(
  [sendEmail, payOut].map((manifest) => [manifest.name as string, { manifest, load: () => Promise.reject() }]),
);
const decideNow = (delivery: Delivery, limits = workerDefaults) => decide(delivery, tasks, limits, now);
const failedWith = (code: string, causeMessage: string) => ({
  kind: 'failed',
  failure: { code, causeMessage },
});
const crash = (msAgo: number, blame: Crash['blame'] = 'suspect') => ({ at: now - msAgo, worker: 'w1', blame });
const crashed = (...crashes: Crash[]) => deliver({ memory: { crashes } });

test('runs a job with an empty memory beside others', () => {
  expect(decideNow(deliver())).toEqual({ kind: 'run', task: tasks.get('send-email'), alone: false });
});

test('ends a cancelled job, whatever else is known of it', () => {
  const crashes = [crash(1), crash(2), crash(3)];
  const cancelled = {
    kind: 'cancelled',
    failure: { code: 'E_JOB_CANCELLED', causeMessage: 'Job "j" was cancelled: not needed' },
  };
  expect(decideNow(deliver({ memory: { cancel: 'not needed', crashes } }))).toMatchObject(cancelled);
  expect(decideNow(deliver({ task: 'gone', memory: { cancel: 'not needed' } }))).toMatchObject(cancelled);
});

test('ends a job that was cancelled without a reason', () => {
  expect(decideNow(deliver({ memory: { cancel: '' } }))).toMatchObject({ kind: 'cancelled' });
});

describe('a job whose task this worker does not know', () => {
  const waiting = (msAgo: number | undefined, given: Partial<Delivery> = { task: 'send-emial' }) =>
    decideNow(deliver({ ...given, memory: { unknownSince: msAgo === undefined ? undefined : now - msAgo } }));

  test('is postponed, and the time is noted', () => {
    expect(waiting(undefined)).toEqual({
      kind: 'postponed',
      delayMs: 1_000,
      unknownSince: now,
    });
  });

  test.each([
    [500, 1_000],
    [10_000, 5_000],
    [60_000, 15_000],
    [595_000, 5_000],
    [599_999, 1],
    [-60_000, 1_000],
  ])('%i ms after it was first seen waits for %i ms more', (msAgo, delayMs) => {
    expect(waiting(msAgo)).toMatchObject({ kind: 'postponed', delayMs, unknownSince: now - msAgo });
  });

  test('fails at the deadline', () => {
    expect(waiting(600_000)).toMatchObject(
      failedWith(
        'E_TASK_UNKNOWN',
        'Queue "mail" has no task "send-emial". Did you mean "send-email"? Job "j" has waited since ' +
          '2026-01-02T11:50:00.000Z for a worker that knows it. Deploy workers that have it, or keep its old name in ' +
          '`formerNames`.',
      ),
    );
  });

  test('is postponed and fails alike, when only its version is newer', () => {
    expect(waiting(0, { version: 2 })).toMatchObject({ kind: 'postponed' });
    expect(waiting(600_000, { version: 2 })).toMatchObject(
      failedWith(
        'E_TASK_UNKNOWN',
        'Task "send-email" (queue "mail") has version 1 in this worker, but the job needs version 2. Job "j" has waited ' +
          'since 2026-01-02T11:50:00.000Z for a worker that knows it. Deploy newer workers, then retry the job.',
      ),
    );
  });

  test.each([1, 0, undefined])('runs with version %s', (version) => {
    expect(waiting(600_000, { version })).toMatchObject({ kind: 'run' });
  });
});

describe('a job that had started', () => {
  const memory = { started: 'w1:1' };

  test('fails, when it is at-most-once', () => {
    expect(decideNow(deliver({ task: 'pay-out', memory }))).toMatchObject(
      failedWith(
        'E_JOB_INTERRUPTED',
        'Job "j" of task "pay-out" (queue "mail") was interrupted: its code had started when its worker stopped or ' +
          'died. It is at-most-once, so it is not run again. Check what it has done before you retry it.',
      ),
    );
  });

  test('is refused, when it is at-most-once and was put back after its end', () => {
    expect(decideNow(deliver({ task: 'pay-out', memory, wasPutBack: true }))).toMatchObject(
      failedWith(
        'E_RETRY_REFUSED',
        'Job "j" of task "pay-out" (queue "mail") was put back after its end, and its code has started before. It is ' +
          'at-most-once, so it is not run again. Check what it has done, then let it run once more with `islet jobs retry j ' +
          '--queue mail --yes`.',
      ),
    );
    expect(decideNow(deliver({ task: 'pay-out', wasPutBack: true }))).toMatchObject({ kind: 'run' });
  });

  test('runs again, when it is at-least-once', () => {
    expect(decideNow(deliver({ memory }))).toMatchObject({ kind: 'run' });
  });
});

describe('a job whose workers crashed', () => {
  test('runs beside others after its first crash', () => {
    expect(decideNow(crashed(crash(1)))).toMatchObject({ kind: 'run', alone: false });
  });

  test.each(['suspect', 'culprit'] as const)('runs alone after its second crash, the last as %s', (blame) => {
    expect(decideNow(crashed(crash(1), crash(2, blame)))).toMatchObject({ kind: 'run', alone: true });
  });

  test('fails after its third crash', () => {
    expect(decideNow(crashed(crash(86_400_000), crash(60_000), crash(0, 'culprit')))).toMatchObject(
      failedWith(
        'E_POISONED',
        'Job "j" of task "send-email" (queue "mail") ran when its worker died, 3 times: 2026-01-01T12:00:00.000Z ' +
          '(worker w1, suspect); 2026-01-02T11:59:00.000Z (worker w1, suspect); 2026-01-02T12:00:00.000Z (worker w1, ' +
          'culprit). It is not run again. Look for what ends the process, then retry the job.',
      ),
    );
  });

  test('runs beside others after it ended its own thread or process, and fails after the third time', () => {
    expect(decideNow(crashed(crash(1, 'unit'), crash(2, 'unit')))).toMatchObject({ kind: 'run', alone: false });
    expect(decideNow(crashed(crash(1, 'unit'), crash(2, 'unit'), crash(3, 'unit')))).toMatchObject({
      failure: {
        code: 'E_POISONED',
        causeMessage: expect.stringMatching(/ ended its thread or process, 3 times: .* \(worker w1, unit\)/),
      },
    });
  });

  test('is forgiven what is older than the window', () => {
    expect(decideNow(crashed(crash(86_400_001), crash(86_400_001), crash(0)))).toMatchObject({ alone: false });
  });

  test('fails at the first, when that is the limit', () => {
    expect(decideNow(crashed(crash(0)), { ...workerDefaults, maxCrashes: 1 })).toMatchObject({
      failure: { code: 'E_POISONED' },
    });
  });
});

test('a job whose pool is full comes back later, at no attempt', () => {
  const pool = { waitMs: () => 1_234 } as unknown as UnitPool;
  const full = new Map([['send-email', { manifest: sendEmail, pool, load: () => Promise.reject() }]]);
  expect(decide(deliver(), full, workerDefaults, now)).toEqual({ kind: 'wait', delayMs: 1_234 });
});
