import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { openAppFolder } from '../app/folder-app.ts';
import type { IsletConfig } from '../config.ts';
import type { Surroundings } from './main.ts';
import { borrowRedis, openRedis } from './open-redis.ts';
import { UsageError } from './report-error.ts';
import { startWorker } from './start-worker.ts';
import { flagsOf, showFlag, type WorkerFlags } from './worker-flags.ts';

/** Runs a worker of the app in the working directory, or the parent of several. */
async function work(given: WorkerFlags, { path, program, env, verbose }: Surroundings): Promise<void> {
  const flags = { ...given, verbose: verbose === true };
  const { queue: queues = [] } = flags;
  if (queues.length === 0) throw new UsageError('Name a queue: islet worker --queue <name>.');
  const source = {
    queues,
    openApp: () => openAppFolder(process.cwd()),
    unitProgram: fileURLToPath(new URL('./folder-unit.js', import.meta.url)),
    openRedis: (config: IsletConfig) => openRedis(config, flags.devRedis === true, path),
    listFiles: async () => (await import('../tools/check/watch-imports.ts')).listFiles(),
  };
  await startWorker(flags, source, { program, command: ['worker'], env, borrowRedis: () => borrowRedis(path) });
}

function toOption(named: ReturnType<typeof flagsOf>[number]): Option {
  const { type, help, repeated, hidden } = named.flag;
  const option = new Option(showFlag(named), help).hideHelp(hidden ?? false);
  if (!type) return option;
  const read = type.reader(named.name);
  if (!repeated) return option.argParser((text) => read(text));
  return option.default([]).argParser((text, before: unknown[]) => [...before, read(text)]);
}

/** The command `islet worker`. */
export function workerCommand(surroundings: Surroundings): Command {
  const command = new Command('worker').description("run one queue's jobs in this process (or several queues')");
  for (const flag of flagsOf('folder')) command.addOption(toOption(flag));
  return command.action((flags: WorkerFlags) => work(flags, surroundings));
}
