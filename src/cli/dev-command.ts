import { fork } from 'node:child_process';
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { findCode, listFolders } from '../app/app-files.ts';
import { IsletError } from '../errors.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { stopSignals } from '../process/stop-signals.ts';
import { DevWorker } from './dev-worker.ts';
import type { Surroundings } from './main.ts';
import { installCommand, isInstalled } from './optional-packages.ts';
import { collect } from './parse-flags.ts';
import { SpareWorker } from './spare-worker.ts';
import { StopRequests } from './stop-requests.ts';
import { filesToWatch, WatchedFiles } from './watch-files.ts';
import { toChildArgs } from './worker-flags.ts';

interface DevFlags {
  queue: string[];
}

type Built = { built: true } | { built: false; output: string };

/** How long running jobs of the code before may go on when new code has taken over. */
const gracefulTimeout = 5_000;
/** A worker ends within 2 s after the grace; one that has not by then cannot, and is killed. */
const stopLimitMs = gracefulTimeout + 2_500;
/** Islet's own compiled code. */
const framework = dirname(dirname(fileURLToPath(import.meta.url)));

const say = (text: string) => void process.stderr.write(`${text}\n`);

/**
 * Returns the queues that were asked for, or all. It looks at the sources, since nothing may be compiled yet. Throws
 * `E_QUEUE_UNKNOWN`.
 */
async function chooseQueues(root: string, asked: string[]): Promise<string[]> {
  const all = await listFolders(existsSync(join(root, 'queues')) ? root : findCode(root), 'queues');
  const unknown = asked.find((name) => !all.includes(name));
  if (unknown === undefined) return asked.length > 0 ? asked : all;
  throw new IsletError('E_QUEUE_UNKNOWN', `There is no queue "${unknown}" in this app.${didYouMean(unknown, all)}`);
}

/** Starts the process that compiles at each save, and that ends with this one. */
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

/** Watches the settings, at which the compiler does not look. */
function watchSettings(root: string, onSaved: () => void): FSWatcher | undefined {
  try {
    return watch(join(root, 'config'), (_, file) => file?.endsWith('.json') && onSaved());
  } catch {
    return undefined;
  }
}

/** Calls back at the first signal, and at one that comes over a second later. */
function onStopSignals(onFirst: () => void, onSecond: () => void): void {
  const requests = new StopRequests();
  const onSignal = () => {
    if (requests.isEcho) return;
    if (requests.asked) return onSecond();
    requests.note();
    onFirst();
  };
  for (const signal of stopSignals) process.on(signal, onSignal);
  // Nobody follows it any more, as after the end of `islet dev | head`.
  process.stdout.once('error', onSignal);
}

/** Opens what shows workers' logs: for people, or as the lines are where the package for that is not installed. */
async function openLog(surroundings: Surroundings): Promise<NodeJS.WritableStream> {
  if (isInstalled('pino-pretty')) return (await import('./pretty-log.ts')).createPrettyLog();
  say(`Logs are shown as JSON. To read them more easily: ${installCommand(['pino-pretty'], surroundings)}`);
  return process.stdout;
}

async function dev({ queue: asked }: DevFlags, surroundings: Surroundings): Promise<void> {
  const { program, env, builder, verbose = false } = surroundings;
  const root = process.cwd();
  await chooseQueues(root, asked);
  const log = await openLog(surroundings);
  const spare = new SpareWorker({ program, env, framework });
  let args: string[] = [];
  const files = new WatchedFiles(() => void worker.replace());
  const worker: DevWorker = new DevWorker({
    async start() {
      const queue = await chooseQueues(root, asked);
      args = ['worker', ...toChildArgs({ queue, gracefulTimeout, devRedis: true, verbose })];
      const child = spare.start(args);
      child.output.pipe(log, { end: false });
      child.onMessage((message) => {
        if (message.say === 'loaded') files.add(filesToWatch(message.files, root, dirname(dirname(framework))));
      });
      return child;
    },
    stopLimitMs,
    onReady: () => spare.prepare(args),
    say,
  });
  const code = await runUntilEnd(root, builder, worker);
  spare.close();
  files.close();
  await worker.stop();
  process.exit(code);
}

/** Replaces the worker at each save, until the end is asked for or the compiler has ended; returns the exit code. */
async function runUntilEnd(root: string, builder: string, worker: DevWorker): Promise<number> {
  let onEnd = (_: number) => {};
  const ended = new Promise<number>((resolve) => {
    onEnd = resolve;
  });
  const onBuilt = (built: Built) => {
    if (built.built) void worker.replace();
    else say(`${built.output}\nNot compiled. ${worker.tellFate()}`);
  };
  const builds = watchBuilds(builder, onBuilt, () => onEnd(1));
  const settings = watchSettings(root, () => void worker.replace());
  onStopSignals(
    () => onEnd(0),
    () => {
      worker.kill();
      process.exit(1);
    },
  );
  const code = await ended;
  settings?.close();
  builds.stop();
  return code;
}

/** The command `islet dev`. */
export function devCommand(surroundings: Surroundings): Command {
  return new Command('dev')
    .description('run all queues in one process, and run new code at each save')
    .option('--queue <name>', 'only this queue; may be given more than once', collect, [])
    .action((flags: DevFlags) => dev(flags, surroundings));
}
