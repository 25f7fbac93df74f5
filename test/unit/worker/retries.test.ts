import * as v from 'valibot';
import { expect, test } from 'vitest';
import { defineTask } from '../../../src/manifest/define-task.ts';
import { nextAttemptMs } from '../../../src/worker/retries.ts';
import { deliver, sendEmail } from './delivery.ts';

const fromJob = defineTask({ name: 'send-email', queue: 'mail', payload: v.object({}), retries: 'from-job' });
const waitOf = (backoff: unknown, attempt = 1) =>
  nextAttemptMs(deliver({ attempt, retries: { attempts: 1_000, backoff } }), fromJob);

test.each([
  ['a delay that is written as a text', { type: 'fixed', delay: '12' }, 1, 12],
  ['a fraction of a millisecond', 1.6, 1, 2],
  ['what no script of BullMQ can write', { type: 'exponential', delay: 1_000 }, 999, 315_360_000_000],
  ['a jitter that is no number', { type: 'fixed', delay: 12, jitter: 'much' }, 1, 12],
])('a job of its own options waits for %s', (_, backoff, attempt, ms) => {
  expect(waitOf(backoff, attempt)).toBe(ms);
});

test('jitter lies between the whole and what is left of it', () => {
  for (const type of ['fixed', 'exponential']) {
    const waits = Array.from({ length: 50 }, () => waitOf({ type, delay: 100, jitter: 0.5 }) ?? 0);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...waits)).toBeLessThan(100);
    expect(new Set(waits).size).toBeGreaterThan(1);
  }
});

test('what a job asks for counts for nothing where the manifest does not say so', () => {
  const retries = { attempts: 1, backoff: { type: 'custom' } };
  expect(nextAttemptMs(deliver({ attempt: 2, retries }), sendEmail)).toBe(2_000);
  expect(nextAttemptMs(deliver({ attempt: 3, retries }), sendEmail)).toBeUndefined();
});
