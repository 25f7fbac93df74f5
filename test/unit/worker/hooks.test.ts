import { createContainer } from 'awilix';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, ConsumeOptions, Outcome } from '../../../src/broker/broker.ts';
import { CancelledError, ReleasedError, TimeoutError } from '../../../src/errors.ts';
import { workerDefaults } from '../../../src/manifest/defaults.ts';
import { defineQueue } from '../../../src/manifest/define-queue.ts';
import { type AnyTask, defineTask } from '../../../src/manifest/define-task.ts';
import { currentJob, type RunScope } from '../../../src/worker/attempt.ts';
import { blameHook } from '../../../src/worker/call-hook.ts';
import { Gate } from '../../../src/worker/gate.ts';
import type { Hooks } from '../../../src/worker/hooks.ts';
import { joinHooks } from '../../../src/worker/job-hooks.ts';
import { loadHooks } from '../../../src/worker/load-hooks.ts';
import { runJob } from '../../../src/worker/run-job.ts';
import { Worker } from '../../../src/worker/worker.ts';
import { deliver } from './delivery.ts';

const steps: string[] = [];
const log = {
  warn: ({ file, problem }: { file: string; problem: string }) => steps.push(`${file} warned: ${problem}`),
  info() {},
  child: () => log,
} as unknown as RunScope['log'];
const failure = { code: 'E_TASK_FAILED', causeName: 'Error', causeMessage: 'no', stack: '' };
const options = { name: 'send-email', queue: 'mail', payload: v.object({ to: v.string() }) };
const sendEmail = defineTask({ ...options, timeoutMs: 50, abandonAfterMs: 20, redact: ['token'] });
const timers = {
  startTimer(ms: number, run: () => void) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
const clock = { ...timers, now: () => Date.now() };
let stopping = new AbortController();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
  steps.length = 0;
  stopping = new AbortController();
});

const join = (...all: Hooks[]) =>
  joinHooks(
    all.map((hooks, index) => ({ ...hooks, file: `${index}.ts` })),
    { log, timers, stopping: stopping.signal },
  );

/** Runs a job of a task with this code, in a worker with these hooks. */
function runIn(
  all: Hooks[],
  code: (payload: unknown) => unknown = () => 'result',
  delivery = deliver(),
  manifest: AnyTask = sendEmail,
) {
  const run = (payload: unknown) => {
    steps.push('work');
    return code(payload);
  };
  const load = async () => ({ kind: 'implementation', manifest, run }) as never;
  return runJob(delivery, {
    queue: {
      openScope: () => createContainer().createScope(),
      tasks: new Map([['send-email', { manifest, load }]]),
      close: async () => {},
    },
    log,
    children: {} as RunScope['children'],
    limits: workerDefaults,
    clock,
    gate: { enter: async () => true, leave: async () => {} },
    onAbandoned: () => steps.push('abandoned'),
    hooks: join(...all),
  });
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const never = () => new Promise<void>(() => {});
const completed = { kind: 'completed', resultJson: '"result"' };
const notCalled = '0.ts warned: it did not call run: the job runs without it';
const tooLong = '0.ts warned: it took too long: nothing waits for it any longer';

describe('around a job', () => {
  test('hooks are nested, the first outside, and see the job', async () => {
    const hook = (name: string): Hooks => ({
      async aroundJob(job, run) {
        steps.push(`${name} before ${JSON.stringify(job)}`);
        steps.push(`${name} after ${JSON.stringify(await run())}`);
      },
    });
    const delivery = deliver({
      ...{ attempt: 2, input: { to: 'a', token: 't' } },
      ...{ enqueuedAt: 5, startedAt: 7, meta: { tenant: 'acme' } },
    });
    expect(await runIn([hook('app'), hook('queue')], undefined, delivery)).toMatchObject(completed);
    const job =
      '{"id":"j","task":"send-email","queue":"mail","attempt":2,"enqueuedAt":5,"startedAt":7,"meta":{"tenant":"acme"},"payload":{"to":"a","token":"t"}}';
    expect(steps).toEqual([
      `app before ${job}`,
      `queue before ${job}`,
      'work',
      'queue after {"ok":true,"outcome":"completed"}',
      'app after {"ok":true,"outcome":"completed"}',
    ]);
  });

  const error = new Error('no');
  const cancelledMeanwhile = deliver();
  test.each<[string, () => unknown, ReturnType<typeof deliver>, object]>([
    ['is tried again', () => Promise.reject(error), deliver(), { outcome: 'retry', code: 'E_TASK_FAILED', error }],
    [
      'fails',
      () => Promise.reject(error),
      deliver({ attempt: 3 }),
      { outcome: 'failed', code: 'E_TASK_FAILED', error },
    ],
    ['returns what is no JSON', () => 10n, deliver(), { outcome: 'failed', code: 'E_RESULT_INVALID' }],
    ['has a wrong payload', () => {}, deliver({ input: {} }), { outcome: 'failed', code: 'E_PAYLOAD_INVALID' }],
    [
      'was cancelled before its code returned',
      () => cancelledMeanwhile.abort.abort(new CancelledError('j', 'no')),
      cancelledMeanwhile,
      { outcome: 'cancelled', code: 'E_JOB_CANCELLED', error: expect.any(CancelledError) },
    ],
  ])('a hook is told how a job ended that %s', async (_, code, delivery, end) => {
    const ends: unknown[] = [];
    const { kind } = await runIn([{ aroundJob: async (_, run) => void ends.push(await run()) }], code, delivery);
    expect(ends).toEqual([{ error: expect.any(Error), ...end, ok: false }]);
    expect(ends).toMatchObject([{ outcome: kind }]);
  });

  test.each<[string, Hooks['aroundJob'], string[]]>([
    [
      'throws before it calls run',
      () => {
        throw new Error('early');
      },
      ['0.ts warned: early', notCalled, 'work'],
    ],
    [
      'throws what has no text',
      () => {
        throw Object.create(null);
      },
      ['0.ts warned: a thrown object', notCalled, 'work'],
    ],
    [
      'throws after the job',
      async (_, run) => {
        await run();
        throw new Error('late');
      },
      ['work', '0.ts warned: late'],
    ],
    ['never calls run', () => {}, [notCalled, 'work']],
    ['calls run twice', async (_, run) => void (await Promise.all([run(), run()])), ['work']],
    ['does not wait for run', (_, run) => void run(), ['work']],
  ])('a hook that %s breaks no job', async (_, aroundJob, expected) => {
    expect(await runIn([{ aroundJob }])).toMatchObject(completed);
    expect(steps).toEqual(expected);
  });

  test('a hook that hangs before the job holds it up for 5 seconds at most', async () => {
    const running = runIn([{ aroundJob: never }]);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(steps).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(steps).toEqual([notCalled, 'work']);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await running).toMatchObject(completed);
    expect(steps[2]).toBe(tooLong);
  });

  test('a hook that hangs after the job holds its outcome up for 5 seconds at most', async () => {
    let ended = false;
    const running = runIn([{ aroundJob: (_, run) => run().then(never) }]).finally(() => {
      ended = true;
    });
    await vi.advanceTimersByTimeAsync(4_999);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await running).toMatchObject(completed);
    expect(steps).toEqual(['work', tooLong]);
  });

  test.each<[string, Hooks['aroundJob']]>([
    ['before', (_, run) => sleep(4_000).then(run).then()],
    [
      'after',
      (_, run) =>
        run()
          .then(() => sleep(4_000))
          .then(),
    ],
  ] as [string, Hooks['aroundJob']][])(
    'what a hook takes %s the job is not charged to its timeoutMs',
    async (_, aroundJob) => {
      const running = runIn([{ aroundJob }]);
      await vi.advanceTimersByTimeAsync(4_000);
      expect(await running).toMatchObject(completed);
      expect(steps).toEqual(['work']);
    },
  );

  test('a task is still timed out inside a hook, which is told in time', async () => {
    const ends: unknown[] = [];
    const running = runIn([{ aroundJob: async (_, run) => void ends.push(await run()) }], never);
    await vi.advanceTimersByTimeAsync(70);
    expect(await running).toMatchObject({ kind: 'retry', failure: { code: 'E_TASK_TIMEOUT' } });
    expect(ends).toMatchObject([{ outcome: 'retry', code: 'E_TASK_TIMEOUT' }]);
    expect(steps).toEqual(['work', 'abandoned']);
  });

  test('a worker that gives its jobs back waits for no hook, and an ended job keeps its outcome', async () => {
    const delivery = deliver();
    const running = runIn([{ aroundJob: (_, run) => run().then(never) }], undefined, delivery);
    await vi.advanceTimersByTimeAsync(10);
    expect(steps).toEqual(['work']);
    stopping.abort();
    delivery.abort.abort(new ReleasedError('j'));
    await vi.advanceTimersByTimeAsync(100);
    expect(await running).toMatchObject(completed);
  });

  test('a worker that gives its jobs back waits for no hook of a job that timed out before', async () => {
    const delivery = deliver();
    const running = runIn([{ aroundJob: (_, run) => run().then(never) }], never, delivery);
    await vi.advanceTimersByTimeAsync(80);
    expect(delivery.abort.signal.reason).toBeInstanceOf(TimeoutError);
    stopping.abort();
    await vi.advanceTimersByTimeAsync(100);
    expect(await Promise.race([running, 'waits'])).toMatchObject({ kind: 'retry' });
  });

  test('a hook that changes the payload it sees changes nothing for the task or the next hook', async () => {
    const input = { to: 'a' };
    const change: Hooks['aroundJob'] = ({ payload }, run) => {
      (payload as typeof input).to = 'b';
      return run().then(() => {});
    };
    let seen: unknown;
    const code = (payload: unknown) => {
      seen = payload;
    };
    await runIn([{ aroundJob: change }], code, deliver({ input }));
    expect([seen, input]).toEqual([{ to: 'a' }, { to: 'a' }]);
  });

  test('a job whose worker stops while a hook has not called run goes back uncounted', async () => {
    const delivery = deliver();
    const running = runIn([{ aroundJob: never }], undefined, delivery);
    stopping.abort();
    delivery.abort.abort(new ReleasedError('j'));
    await vi.advanceTimersByTimeAsync(200);
    expect(await running).toEqual({ kind: 'released', counted: false });
    expect(steps).not.toContain('work');
  });

  test('a rejection that escapes a hook is the hook’s, one that escapes the task inside is the task’s', async () => {
    const whose = (error: Error) => `${blameHook(error)} ${currentJob.getStore() !== undefined}`;
    const told: string[] = [];
    const aroundJob: Hooks['aroundJob'] = async (_, run) => {
      told.push(whose(new Error('before')));
      await run();
      told.push(whose(new Error('after')));
    };
    await runIn([{ aroundJob }, { aroundJob }], () => told.push(whose(new Error('inside'))));
    expect(told).toEqual(['true false', 'true false', 'false true', 'true false', 'true false']);
    expect(steps).toEqual([
      '0.ts warned: before',
      '1.ts warned: before',
      'work',
      '1.ts warned: after',
      '0.ts warned: after',
    ]);
    expect(blameHook(new Error('elsewhere'))).toBe(false);
  });

  test('no redacted value gets into the log of a hook that throws it', async () => {
    const aroundJob: Hooks['aroundJob'] = ({ payload }) => {
      throw new Error(`no tenant for ${JSON.stringify(payload)}`);
    };
    await runIn([{ aroundJob }], undefined, deliver({ input: { to: 'a', token: 'hunter2' } }));
    expect(steps[0]).toBe('0.ts warned: no tenant for {"to":"a","token":"[redacted]"}');
  });

  test('no wrapper is made where there is no such hook', () => {
    expect(join()).toBeUndefined();
    expect(join({ onWorkerStart() {} })).toBeUndefined();
    expect(join({ onJobFailed() {} })?.around).toBeUndefined();
    expect(join({ aroundJob() {} })?.failed).toBeUndefined();
  });
});

describe('when a job failed', () => {
  test('each hook is told, also beside one that throws, and redacted values stay out of the log', async () => {
    const told: unknown[] = [];
    const throwing: Hooks = {
      onJobFailed() {
        throw new Error('no tracker for hunter2');
      },
    };
    const hooks = join(throwing, { onJobFailed: (job, what) => void told.push([job.id, what]) });
    await hooks?.failed?.(deliver({ input: { token: 'hunter2' } }), sendEmail, failure);
    expect(told).toEqual([['j', failure]]);
    expect(steps).toEqual(['0.ts warned: no tracker for [redacted]']);
  });

  test('a hook that hangs is waited for during 5 seconds at most', async () => {
    const telling = join({ onJobFailed: never })?.failed?.(deliver(), undefined, failure);
    await vi.advanceTimersByTimeAsync(5_000);
    await telling;
    expect(steps).toEqual([tooLong]);
  });
});

describe('a worker with hooks of failures', () => {
  /** Starts a worker whose broker writes an outcome when the test says so. */
  async function start(onJobFailed: Hooks['onJobFailed']) {
    let consumer: ConsumeOptions | undefined;
    const broker = {
      async consume(given: ConsumeOptions) {
        consumer = given;
        return { stop() {}, close: async () => {} };
      },
    } as unknown as Broker;
    const load = async () => ({ kind: 'implementation', manifest: sendEmail, run: never }) as never;
    const queue: RunScope['queue'] = {
      openScope: () => createContainer().createScope(),
      tasks: new Map([['send-email', { manifest: sendEmail, load }]]),
      close: async () => {},
    };
    const scope = { queue, log, children: {} as never, limits: workerDefaults, clock, gate: new Gate() };
    const worker = new Worker({
      queue: defineQueue({ name: 'mail' }),
      concurrency: 1,
      scope: { ...scope, hooks: join({ onJobFailed }) },
      onUnhealthy() {},
    });
    await worker.connect(broker);
    const crash = { at: Date.now(), worker: 'w', blame: 'culprit' } as const;
    const poisoned = deliver({ memory: { crashes: [crash, crash, crash] } });
    const outcome = await consumer?.run(poisoned);
    let idle = false;
    void worker.idle().then(() => {
      idle = true;
    });
    await vi.advanceTimersByTimeAsync(10);
    expect({ idle, running: worker.running }).toEqual({ idle: false, running: 1 });
    const settle = async (written = outcome as Outcome) => {
      consumer?.onSettled?.(poisoned, written);
      await vi.advanceTimersByTimeAsync(10);
    };
    return { settle, worker, isIdle: () => idle };
  }

  test('tells them once that is written, also of a job that did not run, and is idle when they know', async () => {
    let onTold = () => {};
    const { settle, isIdle, worker } = await start((job, { code }) => {
      steps.push(`${job.id} ${code}`);
      return new Promise((resolve) => {
        onTold = resolve;
      });
    });
    expect(steps).toEqual([]);
    await settle();
    expect(steps).toEqual(['j E_POISONED']);
    expect(isIdle()).toBe(false);
    onTold();
    await vi.advanceTimersByTimeAsync(0);
    expect({ idle: isIdle(), running: worker.running }).toEqual({ idle: true, running: 0 });
  });

  test('tells nobody when another worker has the job by then', async () => {
    const { settle, isIdle } = await start(() => void steps.push('told'));
    await settle({ kind: 'lost' });
    expect(isIdle()).toBe(true);
    expect(steps).toEqual([]);
  });
});

describe('a hooks file', () => {
  const load = (exported: unknown) =>
    loadHooks({ file: 'queues/hooks.ts', load: async () => exported }, { config: {}, log });

  test.each([
    ['exports no function', {}, 'it must export a function by default'],
    ['returns nothing', () => undefined, 'its function must return an object of hooks'],
    [
      'has a hook that does not exist',
      () => ({ aroundJobs() {} }),
      'there is no hook "aroundJobs". Use one of aroundJob, onJobFailed, onWorkerStart, onWorkerStop',
    ],
    ['has a hook that is no function', () => ({ aroundJob: 5 }), '"aroundJob" must be a function'],
    [
      'is of a class without hooks',
      () => new Date(),
      'its object has no hook. Use one of aroundJob, onJobFailed, onWorkerStart, onWorkerStop',
    ],
    [
      'throws',
      () => {
        throw new Error('no redis://u:hunter2@host');
      },
      'no redis://***@host',
    ],
  ])('that %s stops the start', async (_, exported, said) => {
    await expect(load(exported)).rejects.toMatchObject({
      code: 'E_HOOKS_FAILED',
      message: `The hooks in queues/hooks.ts failed: ${said}. The worker did not start.`,
    });
  });

  test('may make an object of a class, whose hooks keep what it holds', async () => {
    class Tracker {
      #told = 0;
      readonly project = 'p';
      onJobFailed() {
        this.#told += 1;
        steps.push(`${this.project} ${this.#told}`);
      }
    }
    const { onJobFailed } = await load(() => new Tracker());
    await onJobFailed?.({} as never, failure);
    expect(steps).toEqual(['p 1']);
  });

  test('that has no hook, such as one without its settings, is fine', async () => {
    expect(await load(() => ({}))).toMatchObject({ file: 'queues/hooks.ts' });
  });

  test('may be asynchronous', async () => {
    expect(await load(async () => ({ onWorkerStart() {} }))).toMatchObject({ file: 'queues/hooks.ts' });
  });
});
