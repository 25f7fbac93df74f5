import { Command } from 'commander';
import { openAppFolder } from '../app/folder-app.ts';
import { connectOnce, createClient } from '../broker/connection.ts';
import { placeOf } from '../broker/keys.ts';
import { QueueHandle } from '../broker/queue-handle.ts';
import { explainRedisError } from '../broker/refusals.ts';
import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';
import { groupBy } from '../group-by.ts';
import { type FailedJob, findFailed, redrive } from '../inspect/redrive.ts';
import type { Catalog } from '../manifest/catalog.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { createProducer } from '../producer/create-producer.ts';
import { openRedis } from './open-redis.ts';
import { UsageError } from './report-error.ts';
import { flagName, workerFlags } from './worker-flags.ts';

interface RetryFlags {
  queue?: string;
  failed?: boolean;
  task?: string;
  error?: string;
  dryRun?: boolean;
  yes?: boolean;
  devRedis?: boolean;
}

interface CancelFlags {
  queue?: string;
  reason?: string;
  devRedis?: boolean;
}

/** How long, in milliseconds, the start waits for Redis. */
const connectLimitMs = 5_000;

const say = (line: string) => process.stdout.write(`${line}\n`);
const countJobs = (count: number) => `${count} ${count === 1 ? 'job' : 'jobs'}`;

/** Creates what finds a task by its name, or by a name that it once had: jobs in Redis keep the old name. */
function createFinder({ tasks, tasksOf }: Catalog, queue: string) {
  const own = tasksOf(queue);
  const former = own.flatMap((task) => task.formerNames.map((name) => [name, task] as const));
  const byName = new Map([...tasks, ...former]);
  return (name: string) => byName.get(name);
}

const codeOf = ({ failedReason }: FailedJob) => /^(E_[A-Z_]+)\b/.exec(failedReason)?.[1] ?? 'other errors';

/** Creates the view of the failed jobs that the flags select. */
function createSelection(catalog: Catalog, queue: string, flags: RetryFlags, id: string | undefined) {
  const wantedTask = flags.task === undefined ? undefined : catalog.task(flags.task).name;
  const findTask = createFinder(catalog, queue);
  const nameOf = (job: FailedJob) => findTask(job.task)?.name ?? job.task;
  // The task of a job may have been renamed since, or be gone.
  const isAtMostOnce = (job: FailedJob) => job.started || findTask(job.task)?.delivery === 'at-most-once';
  return {
    has: (job: FailedJob) =>
      (id === undefined || job.id === id) &&
      (wantedTask === undefined || nameOf(job) === wantedTask) &&
      job.failedReason.includes(flags.error ?? ''),
    byTask: (jobs: readonly FailedJob[]) => groupBy(jobs, nameOf),
    isAtMostOnce,
  };
}

type Selection = ReturnType<typeof createSelection>;

function listJobs(selection: Selection, jobs: FailedJob[]): void {
  for (const [task, group] of selection.byTask(jobs)) {
    const codes = [...groupBy(group, codeOf)].map(([code, { length }]) => `${code} ${length}`);
    const guard = group.some(selection.isAtMostOnce) ? '; at most once: needs --yes' : '';
    say(`${task}: ${countJobs(group.length)} would be put back (${codes.join(', ')})${guard}`);
  }
}

/** Refuses jobs that must not start twice: their first start may have done their work. Throws `E_USAGE`. */
function refuseAtMostOnce(selection: Selection, jobs: FailedJob[]): void {
  const risky = jobs.filter(selection.isAtMostOnce);
  if (risky.length === 0) return;
  const tasks = [...selection.byTask(risky)].map(([task, { length }]) => `"${task}" (${length})`);
  throw new UsageError(
    `${countJobs(risky.length)} of the ${jobs.length} selected must run at most once: ${tasks.join(', ')}. ` +
      'They may have done their work before they failed, and would do it again. No job was put back. ' +
      'Give --yes to run them once more, or leave them out with --task.',
  );
}

async function retry(id: string | undefined, flags: RetryFlags, path: string | undefined): Promise<void> {
  const which = id ?? '--failed';
  if (flags.queue === undefined) throw new UsageError(`Name a queue: islet jobs retry ${which} --queue <name>.`);
  if (id === undefined && !flags.failed) {
    throw new UsageError('Say which jobs: islet jobs retry <id> --queue <name>, or --failed for all that failed.');
  }
  const app = openAppFolder(process.cwd());
  const config = (await app.config()) as IsletConfig;
  const catalog = await app.manifests();
  const queue = catalog.queue(flags.queue);
  const selection = createSelection(catalog, queue.name, flags, id);
  const redis = await openRedis(config, flags.devRedis === true, path);
  if (redis.notice) process.stderr.write(`${redis.notice}\n`);
  const client = createClient(redis.url, { retryStrategy: () => null });
  try {
    await connectOnce(client, redis.url, connectLimitMs);
    await retryIn(new QueueHandle(client, placeOf(queue, config.redis.prefix)), selection, flags, id);
  } catch (error) {
    throw error instanceof IsletError ? error : explainRedisError(redis.url, error);
  } finally {
    client.disconnect();
    await redis.close();
  }
}

async function retryIn(queue: QueueHandle, selection: Selection, flags: RetryFlags, id: string | undefined) {
  const jobs = await findFailed(queue, selection.has);
  if (jobs.length === 0 && id !== undefined) {
    throw new IsletError('E_JOB_UNKNOWN', `Queue "${queue.name}" has no failed job "${id}" that was selected.`);
  }
  if (jobs.length === 0) return void say(`No failed job of queue "${queue.name}" was selected.`);
  if (flags.dryRun) return listJobs(selection, jobs);
  if (!flags.yes) refuseAtMostOnce(selection, jobs);
  const given = await redrive(queue, jobs);
  for (const [task, group] of selection.byTask(jobs)) {
    const back = group.filter(({ id }) => given.has(id)).length;
    const skipped = group.length - back;
    say(`${task}: ${countJobs(back)} put back${skipped > 0 ? `, ${skipped} skipped: taken by somebody else` : ''}`);
  }
}

async function cancel(id: string, flags: CancelFlags, path: string | undefined): Promise<void> {
  const app = openAppFolder(process.cwd());
  const config = (await app.config()) as IsletConfig;
  const known = flags.queue === undefined ? undefined : (await app.manifests()).queue(flags.queue);
  const redis = await openRedis(config, flags.devRedis === true, path);
  if (redis.notice) process.stderr.write(`${redis.notice}\n`);
  const producer = createProducer({ redis: redis.url, prefix: config.redis.prefix });
  try {
    const { found, queue } = await producer.cancel(id, { queue: known, reason: flags.reason });
    if (found === 'nowhere') {
      const where = flags.queue === undefined ? 'in any queue' : `in queue "${flags.queue}"`;
      throw new IsletError(
        'E_JOB_UNKNOWN',
        `There is no job "${id}" ${where}. It may have completed and been removed.`,
      );
    }
    const fates = {
      waiting: 'was cancelled before it ran',
      running: 'was running: its signal is aborted, and it ends as cancelled',
      asked: 'has a worker that has not answered yet: repeat the command to see what became of the job',
      finished: 'had ended before; nothing was changed',
    };
    say(`Job ${id} of queue ${queue} ${fates[found]}`);
  } finally {
    await producer.close();
    await redis.close();
  }
}

const devRedis = [flagName('devRedis'), workerFlags.devRedis.help] as const;

/** The command `islet jobs`. */
export function jobsCommand({ path }: { path: string | undefined }): Command {
  const jobs = new Command('jobs').description('retry or cancel jobs').argument('[command]');
  jobs.action((name: string | undefined) => {
    const known = ['retry', 'cancel'];
    if (name === undefined) throw new UsageError(`Name what to do: islet jobs ${known.join(' or islet jobs ')}.`);
    throw new UsageError(`There is no command "jobs ${name}".${didYouMean(name, known)}`);
  });
  jobs
    .command('retry')
    .description('put failed jobs back into their queue, with fresh attempts')
    .argument('[id]', 'one failed job; without it, say --failed')
    .option('--queue <name>', 'their queue')
    .option('--failed', 'all jobs that failed for good')
    .option('--task <name>', 'only those of this task')
    .option('--error <text>', 'only those whose failed reason has this text')
    .option('--dry-run', 'only count them')
    .option('--yes', 'also retry at-most-once jobs, which may have done their work')
    .option(...devRedis)
    .action((id: string | undefined, flags: RetryFlags) => retry(id, flags, path));
  jobs
    .command('cancel')
    .description('cancel one job, whether it waits or runs')
    .argument('<id>', "the job's id")
    .option('--queue <name>', 'its queue, when several have a job of this id')
    .option('--reason <text>', 'the reason, which the failed job shows')
    .option(...devRedis)
    .action((id: string, flags: CancelFlags) => cancel(id, flags, path));
  return jobs;
}
