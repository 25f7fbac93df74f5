import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Delivery } from '../../../src/broker/broker.ts';
import { type Hooks, loadHooks } from '../../../src/worker/hooks.ts';
import { joinHooks } from '../../../src/worker/job-hooks.ts';

const steps: string[] = [];
const log = { warn: ({ problem }: { problem: string }) => steps.push(`warned: ${problem}`) } as never;
const delivery = { jobId: 'j', task: 't', queue: 'q', attempt: 2, input: { to: 'a' } } as unknown as Delivery;
const failure = { code: 'E_TASK_FAILED', causeName: 'Error', causeMessage: 'no', stack: '' };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
  steps.length = 0;
});

const join = (...all: Hooks[]) =>
  joinHooks(
    all.map((hooks, index) => ({ ...hooks, file: `${index}.ts` })),
    log,
  );

/** Runs work inside hooks, and tells what happened in which order. */
function runIn(all: Hooks[], work = async () => 'result') {
  return join(...all)?.around(delivery, () => {
    steps.push('work');
    return work();
  });
}

describe('around a job', () => {
  test('hooks are nested, the first outside, and see the job', async () => {
    const hook = (name: string): Hooks => ({
      async aroundJob(job, run) {
        steps.push(`${name} before ${JSON.stringify(job)}`);
        steps.push(`${name} after ${JSON.stringify(await run())}`);
      },
    });
    expect(await runIn([hook('app'), hook('queue')])).toBe('result');
    const job = '{"id":"j","task":"t","queue":"q","attempt":2,"payload":{"to":"a"}}';
    expect(steps).toEqual([
      `app before ${job}`,
      `queue before ${job}`,
      'work',
      'queue after {"ok":true}',
      'app after {"ok":true}',
    ]);
  });

  test('the error of the job reaches the hook, and the caller', async () => {
    const error = new Error('no');
    const ends: unknown[] = [];
    const hook: Hooks = { aroundJob: async (_, run) => void ends.push(await run()) };
    await expect(runIn([hook], () => Promise.reject(error))).rejects.toBe(error);
    expect(ends).toEqual([{ ok: false, error }]);
  });

  test.each<[string, Hooks['aroundJob'], string[]]>([
    [
      'throws before it calls run',
      () => {
        throw new Error('early');
      },
      ['warned: early', 'warned: it did not call run: the job runs without it', 'work'],
    ],
    [
      'throws after the job',
      async (_, run) => {
        await run();
        throw new Error('late');
      },
      ['work', 'warned: late'],
    ],
    ['never calls run', () => {}, ['warned: it did not call run: the job runs without it', 'work']],
    ['calls run twice', async (_, run) => void (await Promise.all([run(), run()])), ['work']],
    ['does not wait for run', (_, run) => void run(), ['work']],
  ])('a hook that %s breaks no job', async (_, aroundJob, expected) => {
    expect(await runIn([{ aroundJob }])).toBe('result');
    expect(steps).toEqual(expected);
  });

  test('a hook that hangs before the job holds it up for 5 seconds at most', async () => {
    const running = runIn([{ aroundJob: () => new Promise(() => {}) }]);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(steps).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(steps).toEqual(['warned: it did not call run: the job runs without it', 'work']);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await running).toBe('result');
    expect(steps[2]).toBe('warned: it did not end within 5000 ms');
  });

  test('a hook that hangs after the job holds its outcome up for 5 seconds at most', async () => {
    const running = runIn([{ aroundJob: (_, run) => run().then(() => new Promise(() => {})) }]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await running).toBe('result');
    expect(steps).toEqual(['work', 'warned: it did not end within 5000 ms']);
  });

  test('no wrapper is made where there is no hook of jobs', () => {
    expect(join()).toBeUndefined();
    expect(join({ onWorkerStart() {} })).toBeUndefined();
  });
});

describe('when a job failed', () => {
  test('each hook is told, also after one that throws', async () => {
    const told: unknown[] = [];
    const throwing: Hooks = {
      onJobFailed() {
        throw new Error('no tracker');
      },
    };
    await join(throwing, { onJobFailed: (job, what) => void told.push([job.id, what]) })?.failed(delivery, failure);
    expect(told).toEqual([['j', failure]]);
    expect(steps).toEqual(['warned: no tracker']);
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

  test('may be asynchronous', async () => {
    expect(await load(async () => ({ onWorkerStart() {} }))).toMatchObject({ file: 'queues/hooks.ts' });
  });
});
