import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProducer, type Producer } from '../../src/producer.ts';
import die from '../fixtures/hooks/tasks/die/manifest.ts';
import say from '../fixtures/hooks/tasks/say/manifest.ts';
import { fixtureApp, killAll, startIslet } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

let place: RedisPlace;
let producer: Producer;

const meta = { tenant: 'acme' };

beforeEach(() => {
  place = openRedisPlace();
  producer = createProducer({ redis: place.url, prefix: place.prefix, meta: () => meta });
});

afterEach(async () => {
  await killAll();
  await producer.close();
  await place.close();
});

function startWorker(...queues: string[]) {
  const flags = queues.flatMap((queue) => ['--queue', queue]);
  return startIslet(['worker', ...flags], { cwd: fixtureApp('hooks'), env: place.env, probe: true });
}

test('hooks run around each job, the app’s outside, and what they set reaches the task', async () => {
  const worker = startWorker('mail');
  const handle = await producer.enqueue(say, {});
  expect(await handle.result()).toBe(`tenant of ${handle.id}`);
  await worker.outcome(handle.id, 'completed');
  await worker.stop();
  const told = worker.lines({ level: 30 }).map(({ msg }) => msg);
  expect(told.filter((msg) => /^(App|Queue|Worker ready|Job finished)/.test(msg))).toEqual([
    'App: start',
    'Worker ready',
    'App: before',
    'App: after',
    'Job finished',
    'Queue: stop',
    'App: stop',
    'Queue: disposed',
  ]);
  const [before] = worker.lines({ msg: 'App: before' });
  expect(before).toMatchObject({ meta });
  expect(Number(before?.enqueuedAt)).toBeLessThanOrEqual(Number(before?.startedAt));
  expect(Math.abs(Date.now() - Number(before?.startedAt))).toBeLessThan(20_000);
  expect(worker.lines({ msg: 'Job finished' })[0]).not.toHaveProperty('meta');
  expect(worker.lines({ msg: 'Worker: completed' })).toMatchObject([{ jobId: handle.id }]);
  expect(worker.lines({ msg: 'App: start' })).toMatchObject([{ queues: ['mail'], workers: ['{mail}'] }]);
  expect(worker.lines({ msg: 'A hook failed' })).toMatchObject([{ hook: 'onWorkerStop', problem: 'stopped badly' }]);
});

test('a worker that is asked to stop while it starts takes no job, and closes what it has opened', async () => {
  await producer.enqueue(say, {});
  const env = { ...place.env, START_MS: '1000' };
  const worker = startIslet(['worker', '--queue', 'mail'], { cwd: fixtureApp('hooks'), env });
  await worker.line({ msg: 'App: start' });
  expect(await worker.stop()).toEqual({ code: 0, signal: null });
  const told = worker.lines({ level: 30 }).map(({ msg }) => msg);
  expect(told).toEqual(['App: start', 'Draining', 'Queue: stop', 'App: stop', 'Queue: disposed']);
  expect(await place.queue('mail').getWaitingCount()).toBe(1);
});

test('a job that failed for good is told of, and a hook that throws then changes nothing', async () => {
  const worker = startWorker('mail');
  const handle = await producer.enqueue(say, { fails: true });
  await expect(handle.result()).rejects.toMatchObject({ code: 'E_TASK_FAILED', causeMessage: 'told to fail' });
  // The tracker is slow: the worker's last hook waits until it knows.
  await worker.stop();
  const told = worker.lines({ level: 30 }).map(({ msg }) => msg);
  expect(told.indexOf('App: failed')).toBeGreaterThan(-1);
  expect(told.indexOf('App: failed')).toBeLessThan(told.indexOf('App: stop'));
  expect(worker.lines({ msg: 'App: after' })).toMatchObject([{ ok: false, error: 'Error: told to fail' }]);
  expect(worker.lines({ msg: 'App: failed' })).toMatchObject([
    { jobId: handle.id, attempt: 1, meta, code: 'E_TASK_FAILED', causeMessage: 'told to fail' },
  ]);
  expect(worker.lines({ hook: 'onJobFailed' })).toMatchObject([
    { msg: 'A hook failed', problem: 'no such tracker', jobId: handle.id, task: 'say' },
  ]);
});

test.each([
  ['before', 'nobody'],
  ['after', expect.stringMatching(/^tenant of/)],
  ['astray', expect.stringMatching(/^tenant of/)],
  ['later', expect.stringMatching(/^tenant of/)],
])('a hook that throws %s the job breaks no job', async (throws, result) => {
  const worker = startWorker('mail');
  const handle = await producer.enqueue(say, { throws });
  expect(await handle.result()).toEqual(result);
  await worker.outcome(handle.id, 'completed');
  expect(await worker.line({ hook: 'aroundJob' })).toMatchObject({
    problem: expect.stringMatching(`^${throws} (than )?the job`),
    jobId: handle.id,
  });
  expect((await worker.stop()).code).toBe(0);
});

test('a job that is failed without being run is told of by the worker that fails it', async () => {
  const first = startWorker('mail');
  const { id } = await producer.enqueue(die, {});
  expect((await first.exited).signal).toBe('SIGKILL');
  const second = startWorker('mail');
  expect(await second.line({ msg: 'App: failed', jobId: id, code: 'E_JOB_INTERRUPTED' })).toMatchObject({ meta });
  expect(second.lines({ msg: 'App: before' })).toEqual([]);
  await second.stop();
});

test("a queue's worker does not load another queue's hooks, and one whose hooks cannot start does not start", async () => {
  const mail = startWorker('mail');
  await mail.line({ msg: 'Worker ready' });
  const loaded = (await mail.loadedScripts()).filter((url) => url.endsWith('hooks.js') && url.includes('/queues/'));
  expect(loaded.map((url) => url.split('/queues/')[1]).sort()).toEqual(['hooks.js', 'mail/hooks.js']);
  const other = startWorker('other');
  expect((await other.exited).code).toBe(1);
  expect(other.stderr()).toContain(
    'E_HOOKS_FAILED: The hooks in queues/other/hooks.js failed: onWorkerStart threw: no licence. The worker did not start.',
  );
  expect(other.lines({ msg: 'App: stop' })).toHaveLength(1);
});
