import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { PermanentError, RateLimitedError, SnoozeError } from '../../../src/errors.ts';
import { defineTask } from '../../../src/manifest/define-task.ts';
import { runTask } from '../../../src/testing/run-task.ts';
import { implement, verdicts } from '../../../src/worker/task-context.ts';

const options = { name: 'send-email', queue: 'mail', payload: v.object({}) };
const often = defineTask(options);
const once = defineTask({ ...options, delivery: 'at-most-once' });

const run = (thrown: unknown) =>
  runTask(
    implement(often, () => {
      throw thrown;
    }),
    {},
    { attempt: 3 },
  );

test('a task runs later, on its last attempt too', async () => {
  const snoozing = implement(often, (_, { snooze }) => {
    throw snooze({ delayMs: 5_000 });
  });
  const limited = implement(often, (_, { rateLimited }) => {
    throw rateLimited({ delayMs: 60_000 });
  });
  expect(await runTask(snoozing, {}, { attempt: 3 })).toEqual({ kind: 'snoozed', delayMs: 5_000 });
  expect(await runTask(limited, {}, { attempt: 3 })).toEqual({ kind: 'rateLimited', delayMs: 60_000 });
});

test('anything else that a task throws uses an attempt', async () => {
  expect(await run(new Error('no'))).toMatchObject({ kind: 'failed', error: { message: 'no' } });
  expect(await run(new PermanentError('gone'))).toMatchObject({ kind: 'failed', error: { message: 'gone' } });
  expect(await run('text')).toMatchObject({ kind: 'failed', error: { message: 'text' } });
});

test.each([
  [new SnoozeError(5), 'snooze'],
  [new RateLimitedError(5), 'rateLimited'],
])('an at-most-once task fails for good when it throws %s', async (thrown, verdict) => {
  const task = implement(once, () => {
    throw thrown;
  });
  expect(await runTask(task, {})).toMatchObject({
    kind: 'failed',
    error: {
      code: 'E_VERDICT_REFUSED',
      message:
        `Job "test-job" of task "send-email" (queue "mail") threw \`${verdict}\`, but its task is at-most-once. ` +
        'It is not run again. Enqueue a new job instead, or make the task at-least-once.',
      cause: thrown,
    },
  });
});

describe('a verdict', () => {
  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5', undefined])(
    'refuses a delayMs of %s',
    (delayMs) => {
      const code = expect.objectContaining({ code: 'E_VERDICT_INVALID' });
      expect(() => verdicts.snooze({ delayMs } as never)).toThrow(code);
      expect(() => verdicts.rateLimited({ delayMs } as never)).toThrow(code);
    },
  );

  test('says what was wrong', () => {
    expect(() => verdicts.snooze({ delayMs: 0 })).toThrow(
      'An option of snooze does not parse: `delayMs`: expected an integer from 1 to 315360000000, got 0.',
    );
    expect(() => verdicts.rateLimited(undefined as never)).toThrow(
      'An option of rateLimited does not parse: expected options, got undefined.',
    );
  });

  test('says what was asked, where it is met unthrown', () => {
    expect(verdicts.snooze({ delayMs: 5 })).toMatchObject({
      code: 'E_TASK_SNOOZED',
      delayMs: 5,
      message: 'The task asked to run this job again in 5 ms.',
    });
    expect(verdicts.rateLimited({ delayMs: 5 })).toMatchObject({
      code: 'E_TASK_RATE_LIMITED',
      delayMs: 5,
      message: 'The task asked its queue to give no job for 5 ms.',
    });
  });
});
