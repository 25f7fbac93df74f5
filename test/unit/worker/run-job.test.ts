import { asFunction, createContainer } from 'awilix';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Delivery } from '../../../src/broker/broker.ts';
import { CancelledError, LockLostError, ReleasedError } from '../../../src/errors.ts';
import { workerDefaults } from '../../../src/manifest/defaults.ts';
import { type AnyTask, defineTask } from '../../../src/manifest/define-task.ts';
import { currentJob, describeCurrentJob, type RunScope } from '../../../src/worker/attempt.ts';
import { UnblockedClock } from '../../../src/worker/clock.ts';
import type { UnitPool } from '../../../src/worker/pools/unit-pool.ts';
import { runJob } from '../../../src/worker/run-job.ts';
import type { Task, TaskContext } from '../../../src/worker/task-context.ts';
import { deliver } from './delivery.ts';

const options = {
  name: 'send-email',
  queue: 'mail',
  payload: v.object({ to: v.string() }),
  timeoutMs: 50,
  abandonAfterMs: 20,
};
const often = defineTask({ ...options, backoff: { type: 'fixed', delayMs: 5, jitter: 0 } });
const once = defineTask({ ...options, delivery: 'at-most-once' });
const fields = { queue: 'mail', task: 'send-email', jobId: 'j', attempt: 1 };

type Code = (payload: unknown, context: TaskContext<Record<string, unknown>>) => unknown;

const steps: string[] = [];
const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
let clock: UnblockedClock;

beforeEach(() => {
  clock = new UnblockedClock();
});

afterEach(() => {
  clock.close();
  steps.length = 0;
  lines.length = 0;
});

const note = (level: string) => (given: Record<string, unknown>, message: string) =>
  lines.push({ level, message, fields: given });
const log = {
  debug: note('debug'),
  info: note('info'),
  warn: note('warn'),
  child: () => log,
} as unknown as RunScope['log'];

/** Makes a scope with one task; `steps` tells what was done, in order. */
function scopeOf(manifest: AnyTask, run: Code, given: Partial<RunScope> = {}): RunScope {
  const load = async () => {
    steps.push('load');
    return { kind: 'implementation', manifest, run } as unknown as Task;
  };
  return {
    queue: {
      openScope: () => createContainer().createScope(),
      tasks: new Map([['send-email', { manifest, load }]]),
      close: async () => {},
    },
    log,
    children: {} as RunScope['children'],
    limits: workerDefaults,
    clock,
    onAbandoned: () => steps.push('abandoned'),
    gate: {
      async enter() {
        steps.push('enter');
        return true;
      },
      leave: async () => void steps.push('leave'),
    },
    ...given,
  };
}

const step =
  (name: string, result?: unknown): Code =>
  () => {
    steps.push(name);
    return result;
  };

/** Rejects with its signal's reason. */
const untilAborted: Code = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

/** Makes code that ignores its signal until it is told to return. */
function stubborn() {
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return { run: (() => finished) as Code, finish };
}

describe('runJob', () => {
  test('runs a task to its outcome, and writes one line', async () => {
    expect(await runJob(deliver(), scopeOf(often, step('run', { sent: 1 })))).toMatchObject({
      kind: 'completed',
      resultJson: '{"sent":1}',
    });
    expect(lines).toEqual([
      {
        level: 'info',
        message: 'Job finished',
        fields: { ...fields, durationMs: expect.any(Number), outcome: 'completed' },
      },
    ]);
    expect(steps).toEqual(['load', 'run']);
  });

  test('does not touch the code of a job that has ended already', async () => {
    const outcome = await runJob(deliver({ memory: { cancel: 'no' } }), scopeOf(often, step('run')));
    expect(outcome).toMatchObject({ kind: 'cancelled' });
    expect(steps).toEqual([]);
    expect(lines).toMatchObject([
      { message: 'Job finished', fields: { outcome: 'cancelled', code: 'E_JOB_CANCELLED' } },
    ]);
  });

  test('puts off a job whose pool is full, with a line for debugging only', async () => {
    const scope = scopeOf(often, step('run'));
    const pool = { waitMs: () => 1_234 } as unknown as UnitPool;
    const task = { manifest: often, pool, load: () => Promise.reject() };
    scope.queue = { ...scope.queue, tasks: new Map([['send-email', task]]) };
    expect(await runJob(deliver(), scope)).toEqual({ kind: 'snoozed', delayMs: 1_234 });
    const message = 'Its pool is full: the job waits in Redis';
    expect(lines).toEqual([{ level: 'debug', message, fields: { ...fields, delayMs: 1_234 } }]);
  });

  test('does not start the code of a job that was aborted while it was loaded', async () => {
    const delivery = deliver();
    const scope = scopeOf(often, step('run'));
    const running = runJob(delivery, scope);
    delivery.abort.abort(new ReleasedError('j'));
    expect(await running).toEqual({ kind: 'released', counted: false });
    expect(steps).toEqual(['load']);
  });

  test('names the job whose code runs', async () => {
    const outcome = await runJob(
      deliver(),
      scopeOf(often, async () => describeCurrentJob()),
    );
    expect(outcome).toMatchObject({ resultJson: JSON.stringify(JSON.stringify(fields)) });
    expect(describeCurrentJob()).toBeUndefined();
  });

  test('fails a job from outside its promise, and tells its code to stop', async () => {
    let signal: AbortSignal | undefined;
    const code: Code = (_, context) => {
      signal = context.signal;
      const job = currentJob.getStore();
      setImmediate(() => steps.push(String(job?.fail(new Error('astray')))));
      return stubborn().run(_, context);
    };
    expect(await runJob(deliver(), scopeOf(often, code))).toMatchObject({
      kind: 'retry',
      failure: { causeMessage: 'astray' },
    });
    expect(signal?.aborted).toBe(true);
    expect(steps).toEqual(['load', 'true']);
  });

  test('keeps the result of a task whose dependencies cannot be disposed of', async () => {
    const broken = asFunction(() => 5).scoped();
    const container = createContainer().register({
      broken: broken.disposer(() => {
        throw new Error('no disposal at redis://user:secret@host');
      }),
    });
    const scope = scopeOf(often, (_, { deps }) => deps.broken);
    scope.queue = { ...scope.queue, openScope: () => container.createScope() };
    expect(await runJob(deliver(), scope)).toMatchObject({ kind: 'completed', resultJson: '5' });
    expect(lines).toMatchObject([
      {
        level: 'warn',
        message: "A job's dependencies could not be disposed of",
        fields: { error: 'no disposal at redis://***@host' },
      },
      { message: 'Job finished' },
    ]);
  });
});

describe('a suspect', () => {
  const crash = { at: Date.now(), worker: 'w1', blame: 'suspect' } as const;
  const suspect = () => deliver({ memory: { crashes: [crash, crash] } });

  test('runs between entering and leaving the gate', async () => {
    expect(await runJob(suspect(), scopeOf(often, step('run')))).toMatchObject({ kind: 'completed' });
    expect(steps).toEqual(['enter', 'load', 'run', 'leave']);
  });

  test('leaves the gate when it fails', async () => {
    const code = () => Promise.reject(new Error('no'));
    expect(await runJob(suspect(), scopeOf(often, code))).toMatchObject({ kind: 'retry' });
    expect(steps).toEqual(['enter', 'load', 'leave']);
  });

  test('goes back uncounted when another one is at the gate, and does not leave it', async () => {
    const gate = { enter: async () => false, leave: async () => void steps.push('leave') };
    expect(await runJob(suspect(), scopeOf(often, step('run'), { gate }))).toEqual({
      kind: 'released',
      counted: false,
    });
    expect(steps).toEqual([]);
  });
});

describe('an at-most-once job', () => {
  const marked = (answer: () => Promise<boolean>, given: Partial<Delivery> = {}) =>
    deliver({
      ...given,
      markStarted: () => {
        steps.push('fence');
        return answer();
      },
    });

  test('passes its fence after its code was loaded, and just before it runs', async () => {
    expect(
      await runJob(
        marked(async () => true),
        scopeOf(once, step('run')),
      ),
    ).toMatchObject({ kind: 'completed' });
    expect(steps).toEqual(['load', 'fence', 'run']);
  });

  test('does not pass its fence with a payload that does not parse', async () => {
    const delivery = marked(async () => true, { input: {} });
    expect(await runJob(delivery, scopeOf(once, step('run')))).toMatchObject({
      kind: 'failed',
      failure: { code: 'E_PAYLOAD_INVALID' },
    });
    expect(steps).toEqual([]);
  });

  test('does not run when another delivery may have started', async () => {
    expect(
      await runJob(
        marked(async () => false),
        scopeOf(once, step('run')),
      ),
    ).toEqual({ kind: 'lost' });
    expect(steps).toEqual(['load', 'fence']);
  });

  test('goes back uncounted when Redis refuses its fence', async () => {
    const refuse = () => Promise.reject(new Error('OOM command not allowed'));
    expect(await runJob(marked(refuse), scopeOf(once, step('run')))).toEqual({ kind: 'released', counted: false });
    expect(steps).toEqual(['load', 'fence']);
  });

  test('is not timed out while Redis does not answer', async () => {
    let answer = (_: boolean) => {};
    const answered = new Promise<boolean>((resolve) => {
      answer = resolve;
    });
    const delivery = marked(() => answered);
    const running = runJob(delivery, scopeOf(once, step('run')));
    await vi.waitFor(() => expect(steps).toContain('fence'));
    const waitedFrom = performance.now();
    await vi.waitFor(() => expect(performance.now() - waitedFrom).toBeGreaterThan(3 * options.timeoutMs));
    expect(delivery.abort.signal.aborted).toBe(false);
    answer(true);
    expect(await running).toMatchObject({ kind: 'completed' });
  });

  test('is timed out once it runs, and fails for good', async () => {
    expect(
      await runJob(
        marked(async () => true),
        scopeOf(once, untilAborted),
      ),
    ).toMatchObject({
      kind: 'failed',
      failure: { code: 'E_TASK_TIMEOUT' },
    });
  });

  test('does not run when its worker stopped before Redis answered, and fails because its fence stands', async () => {
    const delivery = marked(async () => {
      delivery.abort.abort(new ReleasedError('j'));
      return true;
    });
    expect(await runJob(delivery, scopeOf(once, step('run')))).toMatchObject({
      kind: 'failed',
      failure: { code: 'E_JOB_INTERRUPTED' },
    });
    expect(steps).toEqual(['load', 'fence']);
  });

  test('costs an at-least-once job nothing', async () => {
    await runJob(
      marked(async () => true),
      scopeOf(often, step('run')),
    );
    expect(steps).toEqual(['load', 'run']);
  });
});

describe('a job that takes too long', () => {
  const timedOut = {
    kind: 'retry',
    failure: {
      code: 'E_TASK_TIMEOUT',
      causeMessage: 'Task "send-email" did not finish within its timeoutMs of 50 ms.',
    },
  };

  test('is aborted and tried again', async () => {
    expect(await runJob(deliver(), scopeOf(often, untilAborted))).toMatchObject(timedOut);
    expect(steps).toEqual(['load']);
  });

  test('is completed, if it returns after its signal', async () => {
    const code: Code = (_, { signal }) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve('late')));
    expect(await runJob(deliver(), scopeOf(often, code))).toMatchObject({ kind: 'completed', resultJson: '"late"' });
  });

  test('is not charged with the time for which the event loop was blocked', async () => {
    const code: Code = (_, { signal }) =>
      new Promise((resolve) => {
        setImmediate(() => {
          const until = performance.now() + 400;
          while (performance.now() < until);
          // The timer of the time-out has run out by now; this comes after it.
          setTimeout(() => resolve(signal.aborted), 0);
        });
      });
    const longer = defineTask({ ...options, timeoutMs: 200 });
    expect(await runJob(deliver(), scopeOf(longer, code))).toMatchObject({ resultJson: 'false' });
  });

  test('has ended once its code has run, whatever came of it; a job without a turn has not', async () => {
    const onEnded = vi.fn();
    await runJob(deliver(), scopeOf(often, step('run'), { onEnded }));
    await runJob(
      deliver(),
      scopeOf(often, () => Promise.reject(new Error('no')), { onEnded }),
    );
    expect(onEnded).toHaveBeenCalledTimes(2);
    await runJob(deliver({ task: 'unknown' }), scopeOf(often, step('run'), { onEnded }));
    await runJob(deliver({ input: 'wrong' }), scopeOf(often, step('run'), { onEnded }));
    expect(onEnded).toHaveBeenCalledTimes(2);
  });

  test('is abandoned if it ignores its signal, and its late result is dropped with one line', async () => {
    const { run, finish } = stubborn();
    let stillRuns: Promise<unknown> = Promise.resolve();
    const onAbandoned = vi.fn((promise: Promise<void>) => {
      stillRuns = promise.then(() => steps.push('ended'));
    });
    expect(await runJob(deliver(), scopeOf(often, run, { onAbandoned }))).toMatchObject(timedOut);
    expect(onAbandoned).toHaveBeenCalledOnce();
    expect(steps).toEqual(['load']);
    finish();
    await stillRuns;
    expect(steps).toEqual(['load', 'ended']);
    expect(lines).toEqual([
      { level: 'info', message: 'Job finished', fields: expect.objectContaining({ outcome: 'retry' }) },
      { level: 'info', message: 'Late result dropped', fields: { ...fields, lateMs: expect.any(Number) } },
    ]);
  });

  test('is abandoned once, however its late code ends', async () => {
    let stillRuns: Promise<void> = Promise.resolve();
    const onAbandoned = (promise: Promise<void>) => {
      stillRuns = promise;
    };
    let fail = (_: Error) => {};
    const failing: Code = () =>
      new Promise((_resolve, reject) => {
        fail = reject;
      });
    expect(await runJob(deliver(), scopeOf(often, failing, { onAbandoned }))).toMatchObject(timedOut);
    fail(new Error('late'));
    await stillRuns;
    expect(lines.map(({ message }) => message)).toEqual(['Job finished', 'Late result dropped']);
  });
});

describe('code that ignores its signal', () => {
  const aborted = (reason: unknown) => {
    const delivery = deliver();
    const { run, finish } = stubborn();
    const code: Code = (payload, context) => {
      delivery.abort.abort(reason);
      return run(payload, context);
    };
    return { outcome: runJob(delivery, scopeOf(often, code)), finish };
  };

  test.each([
    [new LockLostError('j'), { kind: 'lost' }],
    [new CancelledError('j', 'no'), { kind: 'cancelled' }],
  ])('is abandoned after %s', async (reason, expected) => {
    expect(await aborted(reason).outcome).toMatchObject(expected);
    expect(steps).toEqual(['load', 'abandoned']);
  });

  test('is not counted as abandoned at a release', async () => {
    expect(await aborted(new ReleasedError('j')).outcome).toEqual({ kind: 'released', counted: true });
    expect(steps).toEqual(['load']);
  });
});
