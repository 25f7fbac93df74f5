import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { queuesKey } from '../../src/broker/keys.ts';
import { bullmqQueue } from '../../src/producer.ts';
import { fixtureApp, killAll, startIslet, within } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const retryFailed = ['retry', '--queue', 'money', '--failed'];

let place: RedisPlace;
let redis: Redis;

beforeEach(() => {
  place = openRedisPlace();
  redis = new Redis(place.url, { maxRetriesPerRequest: null });
});

afterEach(async () => {
  await killAll();
  redis.disconnect();
  await place.close();
});

async function jobs(args: string[], env: Record<string, string | undefined> = place.env) {
  const islet = startIslet(['jobs', ...args], { cwd: fixtureApp('jobs'), env });
  const { code } = await within(islet.exited, 15_000, `islet jobs ${args.join(' ')}`);
  return { code, stdout: islet.stdout(), stderr: islet.stderr() };
}

/** Enqueues jobs of these names and fails them, the odd ones by a time-out. */
async function failJobs(...names: string[]): Promise<void> {
  await place.queue('money').addBulk(names.map((name, index) => ({ name, data: { index } })));
  const { name, prefix } = bullmqQueue('money', { prefix: place.prefix });
  const connection = redis.duplicate();
  let failed = 0;
  const fail = async ({ data }: { data: { index: number } }) => {
    throw new Error(data.index % 2 === 0 ? 'E_TASK_FAILED: Error: card refused' : 'E_TASK_TIMEOUT: TimeoutError: slow');
  };
  const worker = new Worker(name, fail, { prefix, connection, autorun: false });
  await new Promise<void>((resolve) => {
    worker.on('failed', () => ++failed === names.length && resolve());
    void worker.run();
  });
  await worker.close();
  connection.disconnect();
}

const counts = async () => {
  const { waiting, failed } = await place.queue('money').getJobCounts('waiting', 'failed');
  return { waiting, failed };
};

test.each<[string, string[], RegExp]>([
  ['nothing to do', [], /^E_USAGE: Name what to do: islet jobs retry or islet jobs cancel\./],
  ['an unknown thing to do', ['rety'], /^E_USAGE: There is no command "jobs rety"\. Did you mean "retry"\?/],
  ['no queue', ['retry', '--failed'], /^E_USAGE: Name a queue/],
  ['no state', ['retry', '--queue', 'money'], /^E_USAGE: Say which jobs: .*--failed/],
  ['an unknown queue', ['retry', '--queue', 'mony', '--failed'], /^E_QUEUE_UNKNOWN: .*Did you mean "money"\?/],
  ['an unknown task', [...retryFailed, '--task', 'chrge'], /^E_TASK_UNKNOWN: .*Did you mean "charge"\?/],
  ['an unknown flag', [...retryFailed, '--dry'], /^E_USAGE: .*--dry/],
  ['no id', ['cancel'], /^E_USAGE: .*'id'/],
  ['an unknown queue of a job', ['cancel', 'x', '--queue', 'mony'], /^E_QUEUE_UNKNOWN: .*Did you mean "money"\?/],
])('exits with 2 and says why, given %s', async (_, args, said) => {
  const { code, stdout, stderr } = await jobs(args);
  expect(stderr).toMatch(said);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});

test.each([
  ['retry', retryFailed],
  ['cancel', ['cancel', 'x']],
])('%s exits with 1, when Redis cannot be reached', async (_, args) => {
  const { code, stderr } = await jobs(args, { ...place.env, REDIS_URL: 'redis://:hidden@127.0.0.1:1' });
  expect(stderr).toMatch(/^E_REDIS_UNREACHABLE: .*127\.0\.0\.1:1/);
  expect(stderr).not.toContain('hidden');
  expect(code).toBe(1);
});

describe('retry', () => {
  test('puts the failed jobs back, and says how many of each task', async () => {
    await failJobs('send-receipt', 'send-receipt', 'unknown-task');
    expect(await jobs(retryFailed)).toEqual({
      code: 0,
      stdout: 'send-receipt: 2 jobs put back\nunknown-task: 1 job put back\n',
      stderr: '',
    });
    expect(await counts()).toEqual({ waiting: 3, failed: 0 });
  });

  test('takes only those of a task, under its former names too', async () => {
    await failJobs('send-receipt', 'charge', 'charge-card');
    const { code, stdout } = await jobs([...retryFailed, '--task', 'charge', '--yes']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'charge: 2 jobs put back\n' });
    expect(await counts()).toEqual({ waiting: 2, failed: 1 });
  });

  test('takes only those whose failed reason has a text', async () => {
    await failJobs('send-receipt', 'send-receipt', 'send-receipt');
    const { stdout } = await jobs([...retryFailed, '--error', 'card refused']);
    expect(stdout).toBe('send-receipt: 2 jobs put back\n');
    expect(await counts()).toEqual({ waiting: 2, failed: 1 });
  });

  test('says when there is none', async () => {
    await failJobs('send-receipt');
    const { code, stdout } = await jobs([...retryFailed, '--error', 'no such text']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'No failed job of queue "money" was selected.\n' });
  });

  test('writes nothing in a dry run, and counts by task and error code', async () => {
    await failJobs('send-receipt', 'send-receipt', 'charge', 'send-receipt');
    const { code, stdout } = await jobs([...retryFailed, '--dry-run']);
    expect(stdout.split('\n').sort()).toEqual([
      '',
      'charge: 1 job would be put back (E_TASK_FAILED 1); at most once: needs --yes',
      'send-receipt: 3 jobs would be put back (E_TASK_FAILED 1, E_TASK_TIMEOUT 2)',
    ]);
    expect(code).toBe(0);
    expect(await counts()).toEqual({ waiting: 0, failed: 4 });
  });

  test('puts nothing back without --yes, when a job must run at most once', async () => {
    await failJobs('send-receipt', 'charge', 'charge-card');
    expect(await jobs(retryFailed)).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'E_USAGE: 2 jobs of the 3 selected must run at most once: "charge" (2). They may have done their work before ' +
        'they failed, and would do it again. No job was put back. Give --yes to run them once more, or leave them ' +
        'out with --task.\n',
    });
    expect(await counts()).toEqual({ waiting: 0, failed: 3 });
    expect((await jobs([...retryFailed, '--yes'])).code).toBe(0);
    expect(await counts()).toEqual({ waiting: 3, failed: 0 });
  });

  test('takes one job by its id, and says when it has not failed', async () => {
    await failJobs('send-receipt', 'send-receipt', 'charge');
    expect(await jobs(['retry', '2', '--queue', 'money'])).toMatchObject({
      code: 0,
      stdout: 'send-receipt: 1 job put back\n',
    });
    expect(await jobs(['retry', '2', '--queue', 'money'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'E_JOB_UNKNOWN: Queue "money" has no failed job "2" that was selected.\n',
    });
    expect((await jobs(['retry', '3', '--queue', 'money'])).stderr).toMatch(
      /^E_USAGE: 1 job of the 1 selected .* Give --yes/,
    );
    expect((await jobs(['retry', '3', '--queue', 'money', '--yes'])).code).toBe(0);
    expect(await counts()).toEqual({ waiting: 2, failed: 1 });
  });

  test('needs no --yes for the others', async () => {
    await failJobs('send-receipt', 'charge');
    const { code } = await jobs([...retryFailed, '--task', 'send-receipt']);
    expect(code).toBe(0);
    expect(await counts()).toEqual({ waiting: 1, failed: 1 });
  });
});

describe('cancel', () => {
  beforeEach(() => redis.sadd(queuesKey(place.prefix), 'money', 'mail'));

  test('ends a job that waits, with its reason', async () => {
    const job = await place.queue('money').add('send-receipt', {}, { jobId: 'x' });
    const { code, stdout, stderr } = await jobs(['cancel', 'x', '--reason', 'sent by hand']);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'Job x of queue money was cancelled before it ran\n',
      stderr: '',
    });
    expect(await job.isFailed()).toBe(true);
    expect(await redis.hget(`${place.prefix}:{money}:x`, 'failedReason')).toContain('sent by hand');
  });

  test('says when a job has ended', async () => {
    await failJobs('send-receipt');
    const { code, stdout } = await jobs(['cancel', '1']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'Job 1 of queue money had ended before; nothing was changed\n',
    });
  });

  test.each([
    ['in any queue', []],
    ['in queue "money"', ['--queue', 'money']],
  ])('exits with 1, when there is no such job %s', async (where, flags) => {
    const { code, stdout, stderr } = await jobs(['cancel', 'gone', ...flags]);
    expect(stderr).toBe(`E_JOB_UNKNOWN: There is no job "gone" ${where}. It may have completed and been removed.\n`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  });

  test('asks for the queue, when two have a job of that id', async () => {
    await place.queue('money').add('send-receipt', {}, { jobId: 'x' });
    await place.queue('mail').add('send-email', {}, { jobId: 'x' });
    expect((await jobs(['cancel', 'x'])).stderr).toMatch(/^E_JOB_AMBIGUOUS: Queues "mail" and "money" each have/);
    expect((await jobs(['cancel', 'x', '--queue', 'money'])).code).toBe(0);
    expect(await place.queue('mail').getWaitingCount()).toBe(1);
  });
});
