import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { openAppFolder } from '../app/folder-app.ts';
import { profileNames } from '../launch-profiles.ts';
import { openRedis } from './open-redis.ts';
import { parseChoice, parseDuration, parseInteger } from './parse-flags.ts';
import { UsageError } from './report-error.ts';
import { runWorker, type WorkerFlags } from './run-worker.ts';

async function work(flags: WorkerFlags & { devRedis?: boolean }, path: string | undefined): Promise<void> {
  if (flags.queue.length === 0) throw new UsageError('Name a queue: islet worker --queue <name>.');
  await runWorker(flags, {
    openApp: () => openAppFolder(process.cwd()),
    unitProgram: fileURLToPath(new URL('./pool-unit.js', import.meta.url)),
    openRedis: (config) => openRedis(config, flags.devRedis === true, path),
  });
}

/** The command `islet worker`. */
export function workerCommand({ path }: { path: string | undefined }): Command {
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
    .action((flags: WorkerFlags & { devRedis?: boolean }) => work(flags, path));
}
