import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../../src/log.ts';
import { workerDefaults } from '../../../src/manifest/defaults.ts';
import { type AnyTask, defineTask } from '../../../src/manifest/define-task.ts';
import { currentJob, describeEscaped, type RunScope } from '../../../src/worker/attempt.ts';
import { UnblockedClock } from '../../../src/worker/clock.ts';
import { joinHooks } from '../../../src/worker/job-hooks.ts';
import { runJob } from '../../../src/worker/run-job.ts';
import type { Task, TaskContext } from '../../../src/worker/task-context.ts';
import { hostileValues, nest } from '../../support/hostile-values.ts';
import { deliver } from './delivery.ts';

const options = { name: 'send-email', queue: 'mail', payload: v.any(), backoff: { delayMs: 5, jitter: 0 } };
const task = defineTask({ ...options, attempts: 2, timeoutMs: 2_000, abandonAfterMs: 20 });
const cases = Object.entries(hostileValues);

type Code = (payload: unknown, context: TaskContext<Record<string, unknown>>) => unknown;

let clock: UnblockedClock;
let written: string[];

beforeEach(() => {
  clock = new UnblockedClock();
  written = [];
});

afterEach(() => clock.close());

function scopeOf(run: Code, given: Partial<RunScope> = {}, manifest: AnyTask = task): RunScope {
  const loadable = { manifest, load: async () => ({ kind: 'implementation', manifest, run }) as unknown as Task };
  return {
    queue: {
      openScope: () => ({ cradle: {}, dispose: async () => {} }),
      tasks: new Map([['send-email', loadable]]),
      close: async () => {},
    },
    log: createLog('info', { write: (line) => written.push(line) }),
    children: {} as RunScope['children'],
    limits: workerDefaults,
    clock,
    onAbandoned() {},
    gate: { enter: async () => true, leave: async () => {} },
    ...given,
  };
}

const lines = () => written.map((line) => JSON.parse(line));

describe.each(cases)('a task that throws %s', (_, make) => {
  const code: Code = () => {
    throw make();
  };

  test('has failed its attempt, and on its last one for good', async () => {
    expect(await runJob(deliver(), scopeOf(code))).toMatchObject({ kind: 'retry', failure: { code: 'E_TASK_FAILED' } });
    expect(await runJob(deliver({ attempt: 2 }), scopeOf(code))).toMatchObject({ kind: 'failed' });
    expect(lines()).toMatchObject([{ outcome: 'retry' }, { outcome: 'failed' }]);
  });

  test('has failed it inside hooks that throw the same', async () => {
    const scope = scopeOf(code);
    const hook = async (_job: unknown, run: () => Promise<{ error?: unknown }>) => {
      throw (await run()).error;
    };
    const loaded = [{ file: 'hooks.ts', aroundJob: hook as never, onJobFailed: code as never }];
    const hooks = joinHooks(loaded, { log: scope.log, timers: clock, stopping: new AbortController().signal });
    const outcome = await runJob(deliver({ attempt: 2 }), { ...scope, hooks } as RunScope);
    expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'E_TASK_FAILED' } });
    await hooks?.failed?.(deliver(), task, (outcome as never as { failure: never }).failure);
    const warned = lines().filter(({ msg }) => msg === 'A hook failed');
    expect(warned.map(({ hook: name }) => name)).toEqual(['aroundJob', 'onJobFailed']);
  });

  test('has failed it when it lets it escape, and abort its signal', async () => {
    const astray: Code = (_payload, { signal }) => {
      const job = currentJob.getStore();
      setImmediate(() => job?.fail(make()));
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    expect(await runJob(deliver(), scopeOf(astray))).toMatchObject({ kind: 'retry' });
  });
});

test('a promise that was thrown is heard, so that its rejection escapes nothing', async () => {
  const heard = vi.fn();
  process.on('unhandledRejection', heard);
  await runJob(
    deliver(),
    scopeOf(() => {
      throw Promise.reject(new Error('inside'));
    }),
  );
  await new Promise(setImmediate);
  process.off('unhandledRejection', heard);
  expect(heard).not.toHaveBeenCalled();
});

describe("what fails in Islet's own code", () => {
  const broken = new TypeError('x is undefined');
  const refuse = () => {
    throw broken;
  };

  test.each<[string, (scope: RunScope) => Partial<RunScope>]>([
    ['its clock', () => ({ clock: { now: refuse, startTimer: refuse } })],
    ['its hooks', () => ({ hooks: { around: refuse, failed: undefined } })],
    [
      'its limits',
      () => ({
        limits: {
          get windowMs() {
            return refuse();
          },
        } as never,
      }),
    ],
    ['its count of ends', () => ({ onEnded: refuse })],
  ])('is a failed attempt with a stack in the log: %s', async (_, change) => {
    const crashes = [{ at: Date.now(), worker: 'w', blame: 'suspect' }] as const;
    const make = (attempt: number) => {
      const scope = scopeOf(() => 5);
      return runJob(deliver({ attempt, memory: { crashes } }), { ...scope, ...change(scope) });
    };
    const failure = { code: 'E_INTERNAL', causeMessage: expect.stringContaining('TypeError: x is undefined') };
    expect(await make(1)).toMatchObject({ kind: 'retry', failure });
    expect(await make(2)).toMatchObject({ kind: 'failed', failure });
    expect(lines()).toMatchObject([
      { level: 50, code: 'E_INTERNAL', stack: expect.stringContaining('hostile.test.ts') },
      { level: 50, code: 'E_INTERNAL' },
    ]);
  });

  test('does not undo the work of a job: its log', async () => {
    const scope = scopeOf(() => 5);
    expect(await runJob(deliver(), { ...scope, log: { info: refuse, error: refuse } as never })).toMatchObject({
      kind: 'completed',
    });
  });

  test('does not undo the work of a job: a scope that throws at its end', async () => {
    const scope = scopeOf((_, { deps }) => typeof deps);
    scope.queue = { ...scope.queue, openScope: () => ({ cradle: {}, dispose: refuse }) };
    expect(await runJob(deliver(), scope)).toMatchObject({ kind: 'completed' });
  });
});

test('a verdict with a wrong delay fails the job', async () => {
  const code: Code = (_, { snooze }) => {
    throw Object.assign(snooze({ delayMs: 5 }), { delayMs: Number.NaN });
  };
  const outcome = await runJob(deliver(), scopeOf(code));
  expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'E_VERDICT_INVALID' } });
  expect((outcome as { failure: { causeMessage: string } }).failure.causeMessage).toBe(
    'Job "j" of task "send-email" (queue "mail") threw `snooze` with a wrong `delayMs`: expected an integer from 1, ' +
      "got NaN. Throw what the context's `snooze` makes.",
  );
});

test('a progress that is no JSON does not undo the work of a job', async () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const report = async (value: unknown) => void JSON.stringify(value);
  const code: Code = (_, { progress }) => {
    progress(1);
    progress(circle);
    return 5;
  };
  expect(await runJob(deliver({ reportProgress: report }), scopeOf(code))).toMatchObject({ kind: 'completed' });
});

test('a payload of very many levels does not keep a failure from being told', async () => {
  const code: Code = () => {
    throw new Error('no');
  };
  const outcome = await runJob(
    deliver({ input: nest(200_000) }),
    scopeOf(code, {}, defineTask({ ...options, redact: ['*'] })),
  );
  expect(outcome).toMatchObject({ kind: 'retry', failure: { causeMessage: 'no' } });
});

describe('the log of a task that redacts', () => {
  const input = {
    user: { email: 'anna@example.org', pin: '42', age: 42 },
    items: [{ card: '4111-1111' }, { card: 'x' }],
    token: 'tok-123',
  };
  const redacting = defineTask({ ...options, redact: ['user.email', 'user.pin', 'items.*.card', 'token'] });
  const say = async (code: Code, manifest: AnyTask = redacting) => {
    await runJob(deliver({ input: structuredClone(input) }), scopeOf(code, {}, manifest));
    return { text: written.join(''), lines: lines() };
  };

  test('hides fields and values at any depth, in messages and errors, and in the logs made of it', async () => {
    const { text, lines: said } = await say((payload, { log }) => {
      const { user, items } = payload as typeof input;
      log.info({ deep: { list: [{ user }] }, items, token: 5 }, `mail to ${user.email}`);
      log.child({ of: user.email }).warn({ err: new Error(`no ${user.email}`) }, 'tok-123');
      user.email = 'changed';
      throw new Error('about anna@example.org');
    });
    expect(text).not.toMatch(/anna@|4111|tok-123|"42"/);
    expect(said[0]).toMatchObject({
      ...{ queue: 'mail', task: 'send-email', jobId: 'j', attempt: 1 },
      deep: { list: [{ user: { email: '[redacted]', pin: '[redacted]', age: 42 } }] },
      items: [{ card: '[redacted]' }, { card: '[redacted]' }],
      token: '[redacted]',
      msg: 'mail to [redacted]',
    });
    expect(said[1]).toMatchObject({ of: '[redacted]', err: { message: 'no [redacted]' }, msg: '[redacted]' });
    expect(said[2]).toMatchObject({ outcome: 'retry', error: 'Error: about [redacted]' });
  });

  test('hides the whole payload, where all of it is meant', async () => {
    const { text, lines: said } = await say(
      (payload, { log }) => log.info({ ...(payload as object), rows: 7 }, 'anna@example.org'),
      defineTask({ ...options, redact: ['*'] }),
    );
    expect(text).not.toMatch(/anna@|4111|tok-123/);
    expect(said[0]).toMatchObject({ user: '[redacted]', items: '[redacted]', token: '[redacted]', rows: 7 });
  });

  test('hides what escapes after the end of the job', async () => {
    let told = '';
    await say((_, { log }) => {
      setTimeout(() => {
        told = describeEscaped(new Error('late for anna@example.org'));
      }, 5);
      log.info({}, 'x');
    });
    await vi.waitFor(() => expect(told).toMatch(/^Error: late for \[redacted\]\n/));
  });

  test('is the plain one where nothing is redacted', async () => {
    const { text } = await say((_, { log }) => log.info({ token: 'tok-123' }, 'x'), task);
    expect(text).toContain('tok-123');
  });
});
