import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import type { Delivery } from '../../../src/broker/broker.ts';
import { IsletError, LockLostError, PermanentError, ReleasedError } from '../../../src/errors.ts';
import { defineTask } from '../../../src/manifest/define-task.ts';
import { backoffMs, classify, completed } from '../../../src/worker/outcome.ts';

const manifest = defineTask({
  name: 'send-email',
  queue: 'mail',
  payload: v.object({ to: v.string(), token: v.string() }),
  attempts: 3,
  redact: ['token'],
  backoff: { delayMs: 1_000, maxDelayMs: 5_000, jitter: 0 },
});
const input = { to: 'a@b', token: 'hunter2' };
const deliver = (attempt = 1): Delivery => ({
  queue: 'mail',
  task: 'send-email',
  jobId: 'j',
  input,
  attempt,
  enqueuedAt: 0,
  keepResultMs: undefined,
  abort: new AbortController(),
  reportProgress: async () => {},
});

describe('classify', () => {
  test('retries while attempts remain, by the backoff of the manifest', () => {
    expect(classify(deliver(2), manifest, new Error('no'))).toMatchObject({ kind: 'retry', delayMs: 2_000 });
  });

  test('fails after the last attempt', () => {
    expect(classify(deliver(3), manifest, new Error('no'))).toMatchObject({ kind: 'failed' });
  });

  test.each([
    new PermanentError('gone'),
    new IsletError('E_PAYLOAD_INVALID', 'bad'),
    new IsletError('E_RESULT_INVALID', 'bad'),
  ])('fails at once on %s, whatever attempts remain', (error) => {
    expect(classify(deliver(1), manifest, error)).toMatchObject({ kind: 'failed', failure: { code: error.code } });
  });

  test('drops the outcome when the lock was lost', () => {
    const delivery = deliver(3);
    delivery.abort.abort(new LockLostError('j'));
    expect(classify(delivery, manifest, new Error('aborted'))).toEqual({ kind: 'lost' });
  });

  test('releases when the worker stops', () => {
    const delivery = deliver(3);
    delivery.abort.abort(new ReleasedError('j'));
    expect(classify(delivery, manifest, new Error('aborted'))).toEqual({ kind: 'released' });
  });

  test('hides redacted values and passwords in message and stack', () => {
    const outcome = classify(deliver(), manifest, new Error('token hunter2 at redis://u:secret@host/0'));
    const text = JSON.stringify(outcome);
    expect(text).not.toMatch(/hunter2|secret/);
    expect(text).toContain('token [redacted] at redis://***@host/0');
  });

  test.each(['text', undefined, null, 5])('takes a thrown %s', (thrown) => {
    expect(classify(deliver(), manifest, thrown)).toMatchObject({ failure: { causeMessage: String(thrown) } });
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
  [[Number.NaN], 'value.0 is NaN'],
  [new Map(), 'value is a Map'],
])('a result that JSON cannot carry is refused', (result, message) => {
  expect(() => completed(deliver(), manifest, result)).toThrow(expect.objectContaining({ code: 'E_RESULT_INVALID' }));
  expect(() => completed(deliver(), manifest, result)).toThrow(message);
});

test('a result over the limit is refused', () => {
  expect(() => completed(deliver(), manifest, 'x'.repeat(262_144))).toThrow(
    'is 262146 bytes of JSON, the limit is 262144',
  );
});
