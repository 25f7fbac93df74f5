import { fork } from 'node:child_process';
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { findCode, listFolders } from '../app/app-files.ts';
import { IsletError } from '../errors.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { createKeeper } from './dev-keeper.ts';
import { createNursery } from './dev-nursery.ts';
import type { Surroundings } from './main.ts';
import { installCommand, isInstalled } from './optional-packages.ts';

interface DevFlags {
  queue: string[];
}

type Built = { built: true } | { built: false; output: string };

/** What running jobs of the code before get, when new code has taken over. */
const graceSeconds = 5;
/** A worker ends itself within 2 s after the grace; later than that it cannot, and is killed. */
const stopLimitMs = graceSeconds * 1_000 + 2_500;
/** Terminals and npm deliver one Ctrl-C twice. */
const sameSignalMs = 1_000;
/** Islet's own compiled code. */
const framework = dirname(dirname(fileURLToPath(import.meta.url)));

const say = (text: string) => void process.stderr.write(`${text}\n`);

/** The queues that were asked for, or all. The sources know them before they are compiled. Throws `E_QUEUE_UNKNOWN`. */
async function chooseQueues(root: string, asked: string[]): Promise<string[]> {
  const all = await listFolders(existsSync(join(root, 'queues')) ? root : findCode(root), 'queues');
  const unknown = asked.find((name) => !all.includes(name));
  if (unknown === undefined) return asked.length > 0 ? asked : all;
  throw new IsletError('E_QUEUE_UNKNOWN', `There is no queue "${unknown}" in this app.${didYouMean(unknown, all)}`);
}

/** Compiles at each save, in a process that ends with this one. */
function watchBuilds(builder: string, onBuilt: (built: Built) => void, onEnd: () => void) {
  const child = fork(builder, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.on('message', (built: Built) => onBuilt(built));
  child.on('close', onEnd);
  return {
    stop() {
      child.removeListener('close', onEnd);
      child.kill('SIGTERM');
    },
  };
}

/** The compiler does not look at settings. */
function watchSettings(root: string, onSaved: () => void): FSWatcher | undefined {
  try {
    return watch(join(root, 'config'), (_, file) => file?.endsWith('.json') && onSaved());
  } catch {
    return undefined;
  }
}

/** Calls back at the first signal, and at one that comes over a second later. */
function listenForEnd(onFirst: () => void, onSecond: () => void): void {
  let askedAt: number | undefined;
  const onSignal = () => {
    if (askedAt === undefined) {
      askedAt = performance.now();
      onFirst();
    } else if (performance.now() - askedAt > sameSignalMs) {
      onSecond();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
}

/** Opens what shows workers' logs: for people, or as the lines are where the package for that is not installed. */
async function openLog(surroundings: Surroundings): Promise<NodeJS.WritableStream> {
  if (isInstalled('pino-pretty')) return (await import('./pretty-log.ts')).createPrettyLog();
  say(`Logs are shown as JSON. To read them more easily: ${installCommand(['pino-pretty'], surroundings)}`);
  return process.stdout;
}

async function dev({ queue: asked }: DevFlags, surroundings: Surroundings): Promise<void> {
  const { program, env, builder } = surroundings;
  const root = process.cwd();
  await chooseQueues(root, asked);
  const log = await openLog(surroundings);
  const nursery = createNursery({ program, env, framework });
  let args: string[] = [];
  const keeper = createKeeper({
    async start() {
      const queues = await chooseQueues(root, asked);
      args = ['--dev-redis', '--graceful-timeout', `${graceSeconds}s`, ...queues.flatMap((name) => ['--queue', name])];
      const child = nursery.start(args);
      child.output.pipe(log, { end: false });
      return child;
    },
    stopLimitMs,
    onReady: () => nursery.prepare(args),
    say,
  });
  let onEnd = (_: number) => {};
  const ended = new Promise<number>((resolve) => {
    onEnd = resolve;
  });
  const onBuilt = (built: Built) => {
    if (built.built) void keeper.replace();
    else say(`${built.output}\nNot compiled: the code before goes on until that is mended.`);
  };
  const builds = watchBuilds(builder, onBuilt, () => onEnd(1));
  const settings = watchSettings(root, () => void keeper.replace());
  listenForEnd(
    () => onEnd(0),
    () => {
      keeper.kill();
      process.exit(1);
    },
  );
  const code = await ended;
  settings?.close();
  builds.stop();
  nursery.close();
  await keeper.stop();
  process.exit(code);
}

/** The command `islet dev`. */
export function devCommand(surroundings: Surroundings): Command {
  return new Command('dev')
    .description('run all queues in one process, and run new code at each save')
    .option(
      '--queue <name>',
      'only this queue; may be given more than once',
      (name, all: string[]) => [...all, name],
      [],
    )
    .action((flags: DevFlags) => dev(flags, surroundings));
}
