import { execFile } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineTask } from '../../../src/index.ts';
import { implement, PermanentError, type TaskContext } from '../../../src/task.ts';
import { createTestApp } from '../../../src/testing.ts';

const sendEmailManifest = defineTask({
  name: 'send-email',
  queue: 'mail',
  payload: v.object({ to: v.string() }),
  attempts: 2,
  backoff: { type: 'fixed', delayMs: 60_000, jitter: 0 },
  timeoutMs: 30_000,
  keepResultMs: 60_000,
});
const logSentManifest = defineTask({ name: 'log-sent', queue: 'audit', payload: v.object({ to: v.string() }) });

interface MailDeps {
  mailer: { send(to: string, signal?: AbortSignal): Promise<number>; close(): void };
}
interface AuditDeps {
  audit: { write(line: string): Promise<void> };
}

const sendEmail = implement(
  sendEmailManifest,
  async ({ to }, { deps, enqueue, signal, attempt }: TaskContext<MailDeps>) => {
    const sent = await deps.mailer.send(to, signal);
    await enqueue(logSentManifest, { to });
    return { sent, attempt };
  },
);
const logSent = implement(logSentManifest, async ({ to }, { deps }: TaskContext<AuditDeps>) => deps.audit.write(to));

/** Creates an app whose mailer sends as the test says. */
function openApp(send: MailDeps['mailer']['send'] = async () => 1) {
  const lines: string[] = [];
  const app = createTestApp({
    tasks: [sendEmail, logSent],
    deps: { mailer: { send }, audit: { write: async (line) => void lines.push(line) } },
  });
  return { ...app, lines };
}

describe('enqueued', () => {
  test('tells the jobs of a task, in their order, with their options', async () => {
    const app = openApp();
    await app.enqueue(sendEmailManifest, { to: 'a' });
    await app.enqueue(sendEmailManifest, { to: 'b' }, { id: 'mine', delayMs: 5_000 });
    await app.enqueue(logSentManifest, { to: 'c' });
    expect(app.enqueued(sendEmailManifest)).toEqual([
      { id: expect.any(String), payload: { to: 'a' }, state: 'waiting' },
      { id: 'mine', payload: { to: 'b' }, delayMs: 5_000, state: 'delayed' },
    ]);
    expect(await app.counts('mail')).toMatchObject({ waiting: 1, delayed: 1 });
  });

  test('tells nothing that the producer refused', async () => {
    const app = openApp();
    await expect(app.enqueue(sendEmailManifest, { to: 5 } as never)).rejects.toMatchObject({
      code: 'E_PAYLOAD_INVALID',
    });
    expect(app.enqueued(sendEmailManifest)).toEqual([]);
  });

  test('tells what has become of a job', async () => {
    const app = openApp();
    await app.enqueue(sendEmailManifest, { to: 'a' });
    await app.drain('mail');
    expect(app.enqueued(sendEmailManifest)).toMatchObject([{ state: 'completed' }]);
    expect(app.enqueued(logSentManifest)).toMatchObject([{ payload: { to: 'a' }, state: 'waiting' }]);
  });
});

describe('drain', () => {
  test('runs the jobs of one queue with the fakes, in their order', async () => {
    const sent: string[] = [];
    const app = openApp(async (to) => sent.push(to));
    await app.enqueueMany(
      sendEmailManifest,
      ['a', 'b', 'c'].map((to) => ({ payload: { to } })),
    );
    expect(await app.drain('mail')).toMatchObject(
      ['a', 'b', 'c'].map((to, index) => ({
        task: 'send-email',
        payload: { to },
        attempt: 1,
        kind: 'completed',
        result: { sent: index + 1 },
      })),
    );
    expect(sent).toEqual(['a', 'b', 'c']);
    expect(app.lines).toEqual([]);
    await app.drain('audit');
    expect(app.lines).toEqual(['a', 'b', 'c']);
  });

  test('leaves a retry until the clock has moved', async () => {
    const outcomes = [Promise.reject(new Error('busy')), Promise.resolve(1)];
    const app = openApp(() => outcomes.shift() as Promise<number>);
    const handle = await app.enqueue(sendEmailManifest, { to: 'a' });
    expect(await app.drain('mail')).toMatchObject([
      { kind: 'retry', delayMs: 60_000, error: { code: 'E_TASK_FAILED', causeMessage: 'busy' } },
    ]);
    await app.advance(59_999);
    expect(await app.drain('mail')).toEqual([]);
    await app.advance(1);
    expect(await app.drain('mail')).toMatchObject([{ kind: 'completed', attempt: 2, result: { sent: 1, attempt: 2 } }]);
    expect(await handle.result()).toEqual({ sent: 1, attempt: 2 });
  });

  test('runs through delays and retries, when asked to', async () => {
    const startAt = Date.parse('2030-01-01');
    const failing = async () => {
      throw new Error('busy');
    };
    const app = createTestApp({ tasks: [sendEmail], deps: { mailer: { send: failing } }, startAt });
    await app.enqueue(sendEmailManifest, { to: 'a' }, { delayMs: 3_600_000 });
    const runs = await app.drain('mail', { delayed: true });
    expect(runs.map(({ kind, attempt }) => [kind, attempt])).toEqual([
      ['retry', 1],
      ['failed', 2],
    ]);
    expect(app.now()).toBe(startAt + 3_600_000 + 60_000);
  });

  test('runs through a rate limit, when asked to', async () => {
    const manifest = defineTask({ name: 'poll', queue: 'mail', payload: v.object({}) });
    let limited = false;
    const poll = implement(manifest, async (_, { rateLimited }) => {
      if (limited) return;
      limited = true;
      throw rateLimited({ delayMs: 10_000 });
    });
    const app = createTestApp({ tasks: [poll] });
    const before = app.now();
    await app.enqueue(manifest, {});
    const runs = await app.drain('mail', { delayed: true });
    expect(runs.map(({ kind }) => kind)).toEqual(['rateLimited', 'completed']);
    expect(app.now()).toBe(before + 10_000);
  });

  test('times a hanging task out as the clock moves', async () => {
    let aborted: unknown;
    const app = openApp(
      (_, signal) =>
        new Promise((__, reject) =>
          signal?.addEventListener('abort', () => {
            aborted = signal.reason;
            reject(signal.reason);
          }),
        ),
    );
    await app.enqueue(sendEmailManifest, { to: 'a' });
    const draining = app.drain('mail');
    await app.advance(30_000);
    expect(await draining).toMatchObject([{ kind: 'retry', error: { code: 'E_TASK_TIMEOUT' } }]);
    expect(aborted).toMatchObject({ code: 'E_TASK_TIMEOUT' });
  });

  test('times hanging tasks out without being moved, when it may move the clock', async () => {
    const never = new Promise<number>(() => {});
    const app = openApp((to, signal) => {
      if (to === 'deaf') return never;
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    });
    const before = app.now();
    await app.enqueue(sendEmailManifest, { to: 'heeds its signal' });
    await app.enqueue(sendEmailManifest, { to: 'deaf' }, { delayMs: 1_000 });
    const runs = await app.drain('mail', { delayed: true, concurrency: 2 });
    expect(runs).toMatchObject(
      ['retry', 'retry', 'failed', 'failed'].map((kind) => ({ kind, error: { code: 'E_TASK_TIMEOUT' } })),
    );
    // There are two attempts of 30 s, 5 s until each is left behind, and a minute between them.
    expect(app.now() - before).toBe(1_000 + 2 * 35_000 + 60_000);
  });

  test('does not time out a task that waits for something real', async () => {
    const run = promisify(execFile);
    const app = openApp(async (to) => Number((await run(process.execPath, ['-p', to])).stdout));
    const before = app.now();
    await app.enqueue(sendEmailManifest, { to: '20 + 3' });
    expect(await app.drain('mail', { delayed: true })).toMatchObject([{ kind: 'completed', result: { sent: 23 } }]);
    expect(app.now()).toBe(before);
  });

  test('gives a job that goes by another clock up before a test runner does', async () => {
    const manifest = defineTask({ name: 'remind', queue: 'mail', payload: v.object({}) });
    const dueAt = Date.now() + 86_400_000;
    const remind = implement(manifest, async (_, { snooze }) => {
      throw snooze({ delayMs: dueAt - Date.now() });
    });
    const app = createTestApp({ tasks: [remind] });
    await app.enqueue(manifest, {});
    await expect(app.drain('mail', { delayed: true })).rejects.toThrow(
      'after 1000 runs; the last was of task "remind"',
    );
    const another = createTestApp({ tasks: [remind] });
    await another.enqueue(manifest, {});
    const failure = expect(another.drain('mail', { delayed: true, maxRuns: 1_100 })).rejects;
    await failure.toThrow('after 1100 runs');
  });

  test('leaves the clock alone once it has failed', async () => {
    const manifest = defineTask({ name: 'wait', queue: 'mail', payload: v.object({}) });
    const wait = implement(manifest, async (_, { snooze }) => {
      throw snooze({ delayMs: 1_000 });
    });
    const app = createTestApp({ tasks: [wait] });
    await app.enqueue(manifest, {});
    await expect(app.drain('mail', { delayed: true, maxRuns: 5 })).rejects.toMatchObject({ code: 'E_DRAIN_ENDLESS' });
    const failedAt = app.now();
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
    expect(app.now()).toBe(failedAt);
  });

  test('tells that a running job was cancelled', async () => {
    const app = openApp(
      (_, signal) => new Promise((__, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    );
    const { id } = await app.enqueue(sendEmailManifest, { to: 'a' });
    const draining = app.drain('mail');
    await app.advance(0);
    expect(await app.cancel(id)).toEqual({ found: 'running', queue: 'mail' });
    expect(await draining).toMatchObject([{ kind: 'cancelled', error: { code: 'E_JOB_CANCELLED' } }]);
  });

  test('runs several jobs at once, when asked to', async () => {
    let running = 0;
    let most = 0;
    const app = openApp(async () => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running -= 1;
      return 1;
    });
    await app.enqueueMany(
      sendEmailManifest,
      Array.from({ length: 10 }, () => ({ payload: { to: 'a' } })),
    );
    expect(await app.drain('mail', { concurrency: 4 })).toHaveLength(10);
    expect(most).toBe(4);
  });

  test('runs an at-most-once task and a permanent error as a worker does', async () => {
    const manifest = defineTask({ name: 'pay', queue: 'money', payload: v.object({}), delivery: 'at-most-once' });
    const pay = implement(manifest, async () => {
      throw new PermanentError('no funds');
    });
    const app = createTestApp({ tasks: [pay] });
    await app.enqueue(manifest, {});
    expect(await app.drain('money', { delayed: true })).toMatchObject([{ kind: 'failed', attempt: 1 }]);
  });

  test('enqueues the jobs of a job once, also when that runs twice', async () => {
    const failingOnce = implement(sendEmailManifest, async ({ to }, { enqueue, attempt }: TaskContext<MailDeps>) => {
      await enqueue(logSentManifest, { to });
      if (attempt === 1) throw new Error('after the enqueue');
      return { sent: 1 };
    });
    const app = createTestApp({ tasks: [failingOnce] });
    await app.enqueue(sendEmailManifest, { to: 'a' });
    expect(await app.drain('mail', { delayed: true })).toHaveLength(2);
    expect(app.enqueued(logSentManifest)).toHaveLength(1);
  });

  test('hands the meta of a job on to those that it enqueues, from queue to queue', async () => {
    const seen: unknown[] = [];
    const keep = implement(logSentManifest, (_, { meta }) => void seen.push(meta));
    const forward = implement(sendEmailManifest, async ({ to }, { enqueue }) => {
      await enqueue(logSentManifest, { to });
      return {};
    });
    let tenant: string | undefined = 'acme';
    const app = createTestApp({ tasks: [forward, keep], meta: () => ({ tenant }) });
    await app.enqueue(sendEmailManifest, { to: 'a' });
    tenant = undefined;
    await app.enqueue(sendEmailManifest, { to: 'b' });
    await app.drain('mail');
    await app.drain('audit');
    expect(seen).toEqual([{ tenant: 'acme' }, {}]);
    expect(app.enqueued(logSentManifest).map(({ meta }) => meta)).toEqual([{ tenant: 'acme' }, undefined]);
  });

  test('may be called twice at once: each job runs once', async () => {
    const sent: string[] = [];
    const app = openApp(async (to) => sent.push(to));
    await app.enqueueMany(
      sendEmailManifest,
      ['a', 'b', 'c', 'd'].map((to) => ({ payload: { to } })),
    );
    const both = await Promise.all([app.drain('mail'), app.drain('mail')]);
    expect(both.flat()).toHaveLength(4);
    expect([...sent].sort()).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('refuses', () => {
  test('a queue none of whose tasks it has', async () => {
    await expect(openApp().drain('mial')).rejects.toMatchObject({
      code: 'E_QUEUE_UNKNOWN',
      message: 'No task of queue "mial" was given to createTestApp, only of "mail", "audit". Add its tasks to `tasks`.',
    });
  });

  test('a job of a task that it does not have', async () => {
    const other = defineTask({ name: 'other', queue: 'mail', payload: v.object({}) });
    const app = openApp();
    await app.enqueue(other, {});
    await expect(app.drain('mail')).rejects.toMatchObject({
      code: 'E_TASK_UNKNOWN',
      message: 'Task "other" has a job in queue "mail", but was not given to createTestApp. Add it to `tasks`.',
    });
  });

  test('a queue that is never empty', async () => {
    const manifest = defineTask({ name: 'again', queue: 'mail', payload: v.object({}) });
    const again = implement(manifest, async (_, { enqueue }) => void (await enqueue(manifest, {})));
    const app = createTestApp({ tasks: [again] });
    await app.enqueue(manifest, {});
    await expect(app.drain('mail', { maxRuns: 50 })).rejects.toMatchObject({
      code: 'E_DRAIN_ENDLESS',
      message:
        'Queue "mail" was not empty after 50 runs; the last was of task "again". Does it enqueue itself? Raise ' +
        '`maxRuns` if not.',
    });
  });

  test('a job that is put off for ever', async () => {
    const manifest = defineTask({ name: 'wait', queue: 'mail', payload: v.object({}) });
    const wait = implement(manifest, async (_, { snooze }) => {
      throw snooze({ delayMs: 1_000 });
    });
    const app = createTestApp({ tasks: [wait] });
    await app.enqueue(manifest, {});
    const failure = expect(app.drain('mail', { delayed: true, maxRuns: 20 })).rejects;
    await failure.toMatchObject({
      code: 'E_DRAIN_ENDLESS',
      message:
        'Queue "mail" was not empty after 20 runs; the last was of task "wait", which snoozed its job again. Does it go ' +
        'by `Date.now()`, which the test does not move? Give it a clock among its dependencies. Raise `maxRuns` if not.',
    });
  });

  test.each([
    ['concurrency', 0, 'an integer from 1 to 10000'],
    ['concurrency', 10_001, 'an integer from 1 to 10000'],
    ['concurrency', 1.5, 'an integer from 1 to 10000'],
    ['maxRuns', 0, 'an integer from 1'],
    ['maxRuns', Number.NaN, 'an integer from 1'],
  ])('a drain with %s %s', async (option, value, expected) => {
    const app = openApp();
    await app.enqueue(sendEmailManifest, { to: 'a' });
    await expect(app.drain('mail', { [option]: value })).rejects.toMatchObject({
      code: 'E_TEST_INVALID',
      message: `An option of drain does not parse: \`${option}\`: expected ${expected}, got ${value}.`,
    });
    expect(app.enqueued(sendEmailManifest)).toMatchObject([{ state: 'waiting' }]);
  });

  test('a task that asks for a dependency without a fake: its job fails, and says so', async () => {
    const app = createTestApp({ tasks: [sendEmail] });
    await app.enqueue(sendEmailManifest, { to: 'a' });
    expect(await app.drain('mail')).toMatchObject([
      {
        kind: 'retry',
        error: {
          causeMessage:
            'A task of queue "mail" asked for its dependency "mailer"; the test gives none. Add a fake of it to the ' +
            "test's `deps`.",
        },
      },
    ]);
  });

  test('what is not a task', () => {
    expect(() => createTestApp({ tasks: [sendEmailManifest as never] })).toThrow(
      '`tasks[0]` of createTestApp is not what implement() returns. Give it what the task.ts file exports by default.',
    );
    expect(() => createTestApp({ tasks: undefined as never })).toThrow('createTestApp needs `tasks`: an array.');
  });

  test('everything, once it is closed', async () => {
    const app = openApp();
    await app.close();
    await app.close();
    await expect(app.enqueue(sendEmailManifest, { to: 'a' })).rejects.toMatchObject({ code: 'E_PRODUCER_CLOSED' });
  });
});

test('advance runs the timers in their order, each with its consequences', async () => {
  const app = openApp();
  for (const [to, delayMs] of Object.entries({ late: 3_000, soon: 1_000, between: 2_000 })) {
    await app.enqueue(sendEmailManifest, { to }, { delayMs });
  }
  await app.advance(2_000);
  expect(await app.counts('mail')).toMatchObject({ waiting: 2, delayed: 1 });
  expect((await app.drain('mail')).map(({ payload }) => payload)).toEqual([{ to: 'soon' }, { to: 'between' }]);
});
