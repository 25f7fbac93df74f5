import { Command, Option } from 'commander';
import { openAppFolder } from '../app/folder-app.ts';
import { profileNames } from '../launch-profiles.ts';
import type { Surroundings } from './main.ts';
import { parseChoice, parseDuration, parseInteger, parseSize } from './parse-flags.ts';
import { UsageError } from './report-error.ts';
import { countProcesses, maxProcesses, minAgeMs, type WorkerFlags } from './worker-flags.ts';

async function work(flags: WorkerFlags, { path, program, env }: Surroundings): Promise<void> {
  if (flags.queue.length === 0) throw new UsageError('Name a queue: islet worker --queue <name>.');
  const processes = await countProcesses(flags, () => openAppFolder(process.cwd()).config());
  if (processes !== undefined) {
    const { supervise } = await import('./supervise.ts');
    const queues = flags.queue.flatMap((name) => ['--queue', name]);
    return supervise(flags, { processes, program, command: ['worker', ...queues], env });
  }
  const { runFolderWorker } = await import('./folder-worker.ts');
  await runFolderWorker(flags, path);
}

/** The command `islet worker`. It loads no worker and no broker: a parent needs neither. */
export function workerCommand(surroundings: Surroundings): Command {
  return new Command('worker')
    .description("run one queue's jobs in this process (or several queues')")
    .option(
      '--queue <name>',
      'a queue to serve; may be given more than once',
      (name, all: string[]) => [...all, name],
      [],
    )
    .option('--concurrency <n>', 'jobs in flight at most', parseInteger('--concurrency', 1, 10_000))
    .option(
      '--graceful-timeout <duration>',
      'what running jobs get at the stop (25s)',
      parseDuration('--graceful-timeout'),
    )
    .option(
      '--processes <n>',
      'so many processes, kept by a small parent; each has its own concurrency',
      parseInteger('--processes', 1, maxProcesses),
    )
    .option('--max-age <duration>', 'replace a process at that age', parseDuration('--max-age', undefined, minAgeMs))
    .option(
      '--max-age-variance <duration>',
      'each process earlier or later by up to that',
      parseDuration('--max-age-variance'),
    )
    .option('--max-jobs <n>', 'replace a process after so many jobs', parseInteger('--max-jobs', 1, 1_000_000_000))
    .option('--max-memory <size>', 'replace a process that takes as much, such as 300mb', parseSize('--max-memory'))
    .option(
      '--recycle <how>',
      'at a limit: replace (by the parent), or exit with 0, without a parent',
      parseChoice('--recycle', ['replace', 'exit'] as const),
    )
    .option('--slot <name>', 'a name that no two living workers share: its last holder is dead')
    .option('--no-guard', 'without the thread that keeps the locks of a blocked event loop')
    .option('--allow-eviction', 'start also on a Redis that drops keys when it is full')
    .option(
      '--profile <name>',
      `the launch line meant: ${profileNames.join(', ')}`,
      parseChoice('--profile', profileNames),
    )
    .option('--health-port <port>', 'answer GET /livez there; 0 for nowhere', parseInteger('--health-port', 0, 65_535))
    .option('--dev-redis', 'without REDIS_URL, use a private Redis of this project (development only)')
    .addOption(
      new Option(
        '--supervised',
        'wait for the parent process, tell it when jobs are taken, and end with it',
      ).hideHelp(),
    )
    .action((flags: WorkerFlags) => work(flags, surroundings));
}
