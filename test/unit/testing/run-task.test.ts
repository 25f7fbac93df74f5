import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineTask } from '../../../src/manifest/define-task.ts';
import { implement, PermanentError, type TaskContext } from '../../../src/task.ts';
import { runTask } from '../../../src/testing/run-task.ts';
import { createTestApp } from '../../../src/testing/test-app.ts';

const store = defineTask({ name: 'store', queue: 'files', payload: v.any(), maxPayloadBytes: 100 });
const receipt = defineTask({ name: 'receipt', queue: 'mail', payload: v.object({ id: v.string() }), priority: 100 });

interface Deps {
  mailer: { send(to: string): string; close(): void };
  settings: { retries?: number; proxy?: string };
}

type Run = (payload: unknown, context: TaskContext<Deps>) => unknown;

const taskOf = (run: Run) => implement(store, async (payload, context: TaskContext<Deps>) => run(payload, context));

describe('a payload', () => {
  test('arrives as JSON carries it, and in each run anew', async () => {
    const payload = { at: new Date(0), left: undefined, list: ['a'] };
    const task = taskOf((given) => {
      (given as typeof payload).list.push('b');
      return given;
    });
    const result = { at: '1970-01-01T00:00:00.000Z', list: ['a', 'b'] };
    for (const _ of [1, 2]) expect(await runTask(task, payload)).toStrictEqual({ kind: 'completed', result });
    expect(payload.list).toEqual(['a']);
  });

  test.each([
    [{ tags: new Set() }, 'cannot travel as JSON: value.tags is a Set. Use strings, numbers, lists and objects.'],
    [{ size: Number.NaN }, 'cannot travel as JSON: value.size is NaN. Use strings, numbers, lists and objects.'],
    [
      'a'.repeat(99),
      'is 101 bytes of JSON, the limit is 100. Store it elsewhere and send a reference, or raise the limit in the manifest.',
    ],
  ])('that no job can have is refused: %s', async (payload, problem) => {
    let ran = false;
    const task = taskOf(() => {
      ran = true;
    });
    expect(await runTask(task, payload)).toMatchObject({
      kind: 'failed',
      error: { code: 'E_PAYLOAD_INVALID', message: `The payload of task "store" (queue "files") ${problem}` },
    });
    expect(ran).toBe(false);
  });
});

describe('a meta', () => {
  const task = taskOf(async (_, { meta, enqueue }) => {
    await enqueue(receipt, { id: '1' });
    return { ...meta, frozen: Object.isFrozen(meta) };
  });

  test('is seen by the task, and inherited by the jobs that it enqueues', async () => {
    expect(await runTask(task, {}, { meta: { tenant: 'acme', unset: undefined } })).toMatchObject({
      result: { tenant: 'acme', frozen: true },
      enqueued: [{ task: 'receipt', meta: { tenant: 'acme' } }],
    });
  });

  test('is empty where none is given, and changes no id', async () => {
    const plain = await runTask(task, {});
    expect(plain).toMatchObject({ result: { frozen: true }, enqueued: [{ task: 'receipt', meta: undefined }] });
    const { enqueued } = await runTask(task, {}, { meta: { tenant: 'acme' } });
    expect(enqueued?.map(({ id }) => id)).toEqual(plain.enqueued?.map(({ id }) => id));
  });

  test('is redacted in what the task throws', async () => {
    const manifest = defineTask({ name: 'store', queue: 'files', payload: v.any(), redact: ['meta.token'] });
    const thrower = implement(manifest, (_, { meta }) => {
      throw new PermanentError(`no ${meta.token}`);
    });
    const app = createTestApp({ tasks: [thrower], meta: () => ({ token: 'hunter2' }) });
    await app.enqueue(manifest, {});
    expect(await app.drain('files')).toMatchObject([{ kind: 'failed', error: { causeMessage: 'no [redacted]' } }]);
  });

  test.each([5, 'acme', { tenant: 5 }, { tenant: 'x'.repeat(257) }, null])(
    'that no job can have is refused: %j',
    async (meta) => {
      const running = runTask(task, {}, { meta: meta as never });
      await expect(running).rejects.toMatchObject({
        code: 'E_TEST_INVALID',
        message: expect.stringContaining('`meta`: expected at most 16 texts of at most 256 bytes, got '),
      });
    },
  );
});

describe('enqueue', () => {
  test('prepares jobs as a producer does, and tells of them', async () => {
    const task = taskOf(async (_, { enqueue }) => {
      await enqueue(receipt, { id: '1' }, { delayMs: 5_000 });
      const { id } = await enqueue(receipt, { id: '2' }, { priority: 1 });
      throw new Error(id);
    });
    const outcome = await runTask(task, {});
    expect(outcome).toMatchObject({
      kind: 'retry',
      enqueued: [
        { task: 'receipt', queue: 'mail', payload: { id: '1' }, delayMs: 5_000, priority: 100 },
        { task: 'receipt', queue: 'mail', payload: { id: '2' }, delayMs: undefined, priority: 1 },
      ],
    });
    expect(outcome.kind === 'retry' && outcome.error.message).toBe(outcome.enqueued?.[1]?.id);
  });

  test('refuses what a producer refuses', async () => {
    const wrong = taskOf((_, { enqueue }) => enqueue(receipt, { id: 5 as never }));
    expect(await runTask(wrong, {})).toMatchObject({ kind: 'failed', error: { code: 'E_PAYLOAD_INVALID' } });
    const late = taskOf((_, { enqueue }) => enqueue(receipt, { id: '1' }, { delayMs: -1 }));
    const outcome = await runTask(late, {});
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'E_ENQUEUE_OPTIONS_INVALID' } });
    expect(outcome).not.toHaveProperty('enqueued');
  });
});

describe('a fake', () => {
  const run = (mailer: object, work: Run = (_, { deps }) => deps.mailer.send('a')) =>
    runTask(taskOf(work), {}, { deps: { mailer: mailer as Deps['mailer'] } });

  test('that lacks what the task calls is named', async () => {
    expect(await run({ close() {} })).toMatchObject({
      kind: 'retry',
      error: {
        code: 'E_FAKE_MISSING',
        message:
          'Task "store" asked for its dependency "mailer.send"; of "mailer" the test gives close. Add a fake of it to ' +
          "the test's `deps`.",
      },
    });
    expect(await run({})).toMatchObject({
      error: { message: expect.stringContaining('of "mailer" the test gives none') },
    });
  });

  test('that is no object of functions may lack members', async () => {
    class Mailer {
      readonly to?: string;
    }
    expect(await run(new Mailer(), (_, { deps }) => `${Reflect.get(deps.mailer, 'to')}`)).toMatchObject({
      result: 'undefined',
    });
    const readProxy: Run = (_, { deps }) => deps.settings.proxy ?? 'none';
    const deps = { settings: { retries: 1 } };
    expect(await runTask(taskOf(readProxy), {}, { deps })).toMatchObject({ result: 'none' });
  });

  test('finds itself as `this`, with what it does not have', async () => {
    const mailer = {
      sent: undefined as string[] | undefined,
      send(this: { late?: string; sent?: string[] }, to: string) {
        this.sent = [...(this.sent ?? []), to];
        return `${this.late}`;
      },
    };
    expect(await run(mailer)).toMatchObject({ kind: 'completed', result: 'undefined' });
    expect(mailer.sent).toEqual(['a']);
  });
});

test.each([0, -1, 1.5, Number.NaN, '1'])('refuses attempt %s', async (attempt) => {
  const task = taskOf(() => {});
  await expect(runTask(task, {}, { attempt: attempt as number })).rejects.toMatchObject({
    code: 'E_TEST_INVALID',
    message: `An option of runTask does not parse: \`attempt\`: expected an integer from 1, got ${typeof attempt === 'string' ? '"1"' : attempt}.`,
  });
});
