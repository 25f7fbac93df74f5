import { UnrecoverableError } from 'bullmq';
import { describe, expect, test } from 'vitest';
import type { Delivery, Outcome } from '../../../src/broker/broker.ts';
import {
  CancelledError,
  IsletError,
  LockLostError,
  PermanentError,
  ReleasedError,
  SnoozeError,
  TimeoutError,
} from '../../../src/errors.ts';
import { workerDefaults } from '../../../src/manifest/defaults.ts';
import type { AnyTask } from '../../../src/manifest/define-task.ts';
import * as outcome from '../../../src/worker/outcome.ts';
import * as retries from '../../../src/worker/retries.ts';
import { deliver, sendEmail as manifest, payOut } from './delivery.ts';

const { backoffMs } = retries;
const input = { to: 'a@b', token: 'hunter2' };

/** The time of the workers' clock, which has nothing to do with that of this machine. */
const now = 1_000_000_000;

/** Classifies what a task threw, whose code had started unless the test says otherwise. */
const classify = (delivery: Delivery, task: AnyTask, error: unknown, started = true): Outcome =>
  outcome.classify(delivery, task, error, started, { limits: workerDefaults, clock: { now: () => now } });

/** Returns the outcome of a job whose task returned this. */
const completed = (delivery: Delivery, task: AnyTask, result: unknown): Outcome =>
  outcome.completed(delivery, task, outcome.toResultJson(task, result));

function abortedBy(reason: unknown, given: Parameters<typeof deliver>[0] = {}): Delivery {
  const delivery = deliver(given);
  delivery.abort.abort(reason);
  return delivery;
}

describe('classify', () => {
  test('retries while attempts remain, by the backoff of the manifest', () => {
    expect(classify(deliver({ attempt: 2 }), manifest, new Error('no'))).toMatchObject({
      kind: 'retry',
      delayMs: 2_000,
    });
  });

  test('fails after the last attempt', () => {
    expect(classify(deliver({ attempt: 3 }), manifest, new Error('no'))).toMatchObject({ kind: 'failed' });
  });

  test.each([
    new PermanentError('gone'),
    new IsletError('E_PAYLOAD_INVALID', 'bad'),
    new IsletError('E_RESULT_INVALID', 'bad'),
  ])('fails at once on %s, whatever attempts remain', (error) => {
    expect(classify(deliver(), manifest, error)).toMatchObject({ kind: 'failed', failure: { code: error.code } });
  });

  test.each([new Error('no'), new PermanentError('gone'), new SnoozeError(5)])(
    'drops the outcome when the lock was lost and the task threw %s',
    (error) => {
      expect(classify(abortedBy(new LockLostError('j')), manifest, error)).toEqual({ kind: 'lost' });
    },
  );

  test('ends as cancelled, whatever the task threw', () => {
    const delivery = abortedBy(new CancelledError('j', 'not needed'), { attempt: 1, keepResultMs: 5 });
    expect(classify(delivery, manifest, new SnoozeError(5))).toMatchObject({
      kind: 'cancelled',
      failure: { code: 'E_JOB_CANCELLED', causeMessage: 'Job "j" was cancelled: not needed' },
      keepResultMs: 5,
    });
  });

  test('names the time-out when a library threw its own AbortError', () => {
    const delivery = abortedBy(new TimeoutError('send-email', 50));
    expect(classify(delivery, manifest, new DOMException('aborted', 'AbortError'))).toMatchObject({
      kind: 'retry',
      failure: { code: 'E_TASK_TIMEOUT' },
    });
  });

  test('keeps what a task threw by itself after its time-out', () => {
    const delivery = abortedBy(new TimeoutError('send-email', 50));
    expect(classify(delivery, manifest, new PermanentError('gone'))).toMatchObject({ kind: 'failed' });
    expect(classify(delivery, manifest, new UnrecoverableError('gone'))).toMatchObject({ kind: 'failed' });
    expect(classify(delivery, manifest, new Error('no'))).toMatchObject({ failure: { causeMessage: 'no' } });
  });

  test('hides redacted values and passwords in message and stack', () => {
    const outcome = classify(deliver({ input }), manifest, new Error('token hunter2 at redis://u:secret@host/0'));
    const text = JSON.stringify(outcome);
    expect(text).not.toMatch(/hunter2|secret/);
    expect(text).toContain('token [redacted] at redis://***@host/0');
  });

  test('takes redacted values that no URL can hold, and errors that throw when they are read', () => {
    const thrown = new Error('no');
    Object.defineProperty(thrown, 'message', {
      get() {
        throw thrown;
      },
    });
    const failure = { causeMessage: '' };
    expect(classify(deliver({ input: { token: 'a\ud800' } }), manifest, thrown)).toMatchObject({ failure });
  });

  test.each(['text', undefined, null, 5])('takes a thrown %s', (thrown) => {
    expect(classify(deliver(), manifest, thrown)).toMatchObject({ failure: { causeMessage: String(thrown) } });
  });
});

describe('a job whose worker stops', () => {
  const released = (releases: number[]) => abortedBy(new ReleasedError('j'), { attempt: 3, memory: { releases } });
  const recent = (count: number) => Array.from({ length: count }, () => now - 60_000);

  test('is released and counted, whatever its task threw', () => {
    expect(classify(released([]), manifest, new PermanentError('gone'))).toEqual({ kind: 'released', counted: true });
  });

  test('is released without being counted, when its code had not started', () => {
    expect(classify(released(recent(20)), manifest, new Error('no'), false)).toEqual({
      kind: 'released',
      counted: false,
    });
  });

  test('fails over the limit of releases', () => {
    expect(classify(released(recent(19)), manifest, new Error('no'))).toMatchObject({ kind: 'released' });
    expect(classify(released(recent(20)), manifest, new Error('no'))).toMatchObject({
      kind: 'failed',
      failure: {
        code: 'E_RELEASE_LIMIT',
        causeMessage:
          'Job "j" of task "send-email" (queue "mail") did not end before its worker stopped, 21 times within ' +
          '86400000 ms, and the limit is 20. Let the task end sooner, or raise `worker.gracefulTimeout` or ' +
          '`worker.maxReleases`.',
      },
    });
  });

  test('is forgiven the releases before the window', () => {
    expect(classify(released(recent(20).map((at) => at - 86_400_000)), manifest, new Error('no'))).toMatchObject({
      kind: 'released',
    });
  });

  test('fails as interrupted, when it is at-most-once and had started', () => {
    expect(classify(released([]), payOut, new Error('no'))).toMatchObject({
      kind: 'failed',
      failure: { code: 'E_JOB_INTERRUPTED' },
    });
  });

  test('goes back, when it is at-most-once and had not started', () => {
    expect(classify(released([]), payOut, new Error('no'), false)).toEqual({ kind: 'released', counted: false });
  });
});

describe('completed', () => {
  test.each([new ReleasedError('j'), new TimeoutError('send-email', 5)])(
    'holds for a task that returned in spite of %s',
    (reason) => {
      expect(completed(abortedBy(reason), manifest, 5)).toMatchObject({ kind: 'completed', resultJson: '5' });
    },
  );

  test('does not hold when the lock was lost, or the job cancelled', () => {
    expect(completed(abortedBy(new LockLostError('j')), manifest, 5)).toEqual({ kind: 'lost' });
    expect(completed(abortedBy(new CancelledError('j', 'no')), manifest, 5)).toMatchObject({ kind: 'cancelled' });
  });
});

test('backoff is capped', () => {
  expect([1, 2, 3, 4, 1_000].map((attempt) => backoffMs(manifest, attempt))).toEqual([
    1_000, 2_000, 4_000, 5_000, 5_000,
  ]);
});

test('jitter shortens a wait by at most its part', () => {
  const jittered = { backoff: { ...manifest.backoff, jitter: 0.5 } };
  expect([backoffMs(jittered, 1, 0), backoffMs(jittered, 1, 1)]).toEqual([1_000, 500]);
});

test.each([
  [{ n: 1n }, 'value.n is a bigint'],
  [{ f() {} }, 'value.f is a function'],
  [[Number.NaN], 'value[0] is NaN'],
  [new Map(), 'value is a Map'],
  [[undefined], 'value[0] is undefined'],
  [{ toJSON: () => undefined }, 'value has a toJSON that gives undefined'],
  [{ at: { toJSON: () => () => {} } }, 'value.at has a toJSON that gives function'],
  [{ at: { toJSON: () => 1n } }, 'value.at is a bigint'],
])('a result that JSON cannot carry is refused', (result, message) => {
  expect(() => completed(deliver(), manifest, result)).toThrow(expect.objectContaining({ code: 'E_RESULT_INVALID' }));
  expect(() => completed(deliver(), manifest, result)).toThrow(message);
});

test('a result that cannot travel is refused with the place and what to do', () => {
  expect(() => completed(deliver(), manifest, { toJSON: () => undefined })).toThrow(
    'The result of task "send-email" cannot travel as JSON: value has a toJSON that gives undefined. Use ' +
      'strings, numbers, lists and objects.',
  );
});

test('a result that writes itself as JSON is taken', () => {
  expect(completed(deliver(), manifest, [new Date(0), { toJSON: () => 'text' }])).toMatchObject({
    resultJson: '["1970-01-01T00:00:00.000Z","text"]',
  });
});

test('a result over the limit is refused', () => {
  expect(() => completed(deliver(), manifest, 'x'.repeat(262_144))).toThrow(
    'is 262146 bytes of JSON, the limit is 262144',
  );
});
