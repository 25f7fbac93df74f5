import * as v from 'valibot';
import { expect, test } from 'vitest';
import { toJobOptions } from '../../../src/broker/job-options.ts';
import { defineTask } from '../../../src/manifest/define-task.ts';
import { prepareJob } from '../../../src/producer/prepare-job.ts';
import { createProducer } from '../../../src/producer.ts';
import { createTestApp } from '../../../src/testing.ts';
import { hostileValues } from '../../support/hostile-values.ts';

const task = defineTask({ name: 'send-email', queue: 'mail', payload: v.object({ to: v.string() }) });
const openApp = (meta: () => unknown) => createTestApp({ tasks: [], meta: meta as () => undefined });

async function refusalOf(meta: () => unknown) {
  const app = openApp(meta);
  const one = await app.enqueue(task, { to: 'a' }).catch((error) => error);
  const many = await app.enqueueMany(task, [{ payload: { to: 'a' } }]).catch((error) => error);
  expect(app.enqueued(task)).toEqual([]);
  expect([many.code, many.message, many.cause]).toEqual([one.code, one.message, one.cause]);
  return one;
}

test('the meta of a producer is asked for at each enqueue, and once by enqueueMany', async () => {
  let calls = 0;
  const app = openApp(() => ({ call: String(++calls) }));
  await app.enqueue(task, { to: 'a' });
  await app.enqueueMany(task, [{ payload: { to: 'b' } }, { payload: { to: 'c' } }]);
  await app.enqueue(task, { to: 'd' });
  expect(app.enqueued(task).map(({ meta }) => meta?.call)).toEqual(['1', '2', '2', '3']);
});

test.each([() => undefined, () => ({}), () => ({ tenant: undefined })])(
  'a job whose meta is %s has none',
  async (meta) => {
    const app = openApp(meta);
    await app.enqueue(task, { to: 'a' });
    expect(app.enqueued(task)[0]?.meta).toBeUndefined();
  },
);

test('a job without a meta is stored as ever', async () => {
  expect(toJobOptions(await prepareJob(task, { to: 'a' }))).toMatchObject({ islet: { version: 1 } });
  const { islet } = toJobOptions(await prepareJob(task, { to: 'a' }, {}, {})) as { islet?: object };
  expect(Object.keys(islet ?? {})).toEqual(['version']);
});

test('a meta that cannot travel enqueues nothing, and its value is not shown', async () => {
  expect(await refusalOf(() => ({ tenant: 'acme', token: 4711 }))).toMatchObject({
    code: 'E_ENQUEUE_OPTIONS_INVALID',
    message:
      'The `meta` of createProducer must return at most 16 texts of at most 256 bytes, but field "token" is a number. ' +
      'Nothing was enqueued for task "send-email".',
  });
});

test('a meta that throws enqueues nothing, and its error is the cause', async () => {
  const cause = new Error('no tenant here');
  const error = await refusalOf(() => {
    throw cause;
  });
  expect(error).toMatchObject({ code: 'E_ENQUEUE_OPTIONS_INVALID', cause });
  expect(error.message).toContain('but it threw the cause of this error.');
});

test('a meta that returns a promise is refused, and a rejection of it escapes nowhere', async () => {
  const error = await refusalOf(async () => {
    throw new Error('late');
  });
  expect(error.message).toContain('but it is a Promise.');
});

test.each(Object.entries(hostileValues))(
  'a meta that returns %s enqueues nothing, or what can travel',
  async (_, make) => {
    const app = openApp(make as () => unknown);
    const error = await app.enqueue(task, { to: 'a' }).catch((thrown) => thrown);
    const [job] = app.enqueued(task);
    if (job) expect(Object.values(job.meta ?? {}).map((value) => typeof value)).not.toContain('object');
    else expect(error).toMatchObject({ code: 'E_ENQUEUE_OPTIONS_INVALID' });
  },
);

test('an option `meta` that is no function is refused', () => {
  const redis = 'redis://127.0.0.1:1';
  expect(() => createProducer({ redis, meta: { tenant: 'acme' } as never })).toThrow(
    'An option of createProducer does not parse: `meta`: expected a function, got a object.',
  );
});
