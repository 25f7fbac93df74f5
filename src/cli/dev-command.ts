import { fork } from 'node:child_process';
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { findCode, listFolders } from '../app/app-files.ts';
import { IsletError } from '../errors.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { createWorkerChild, type WorkerChild } from '../supervisor/worker-child.ts';
import type { Surroundings } from './main.ts';

interface DevFlags {
  queue: string[];
}

type Built = { built: true } | { built: false; output: string };

/** A worker that crashed is started again after so long, in milliseconds. */
const crashPauseMs = 1_000;
/** What running jobs of the code before get, when new code has taken over. */
const graceFlags = ['--graceful-timeout', '5s'];

const say = (text: string) => void process.stderr.write(`${text}\n`);

/** The queues that were asked for, or all. The sources know them before they are compiled. Throws `E_QUEUE_UNKNOWN`. */
async function chooseQueues(root: string, asked: string[]): Promise<string[]> {
  const all = await listFolders(existsSync(join(root, 'queues')) ? root : findCode(root), 'queues');
  const unknown = asked.find((name) => !all.includes(name));
  if (unknown === undefined) return asked.length > 0 ? asked : all;
  throw new IsletError('E_QUEUE_UNKNOWN', `There is no queue "${unknown}" in this app.${didYouMean(unknown, all)}`);
}

interface Keeper {
  /** Starts a worker with the code as it is now; the one before goes on until that takes jobs. */
  replace(): Promise<void>;
  stop(): Promise<void>;
}

/** Creates what keeps one worker, and replaces it: never two replacements at once, and the last call counts. */
function createKeeper(start: () => Promise<WorkerChild>): Keeper {
  let current: WorkerChild | undefined;
  let next: WorkerChild | undefined;
  let replacing: Promise<void> | undefined;
  let again = false;
  let stopping = false;
  const leaving = new Set<Promise<unknown>>();
  let crashTimer: NodeJS.Timeout | undefined;

  const dismiss = (child: WorkerChild) => {
    const left = child.ended.finally(() => leaving.delete(left));
    leaving.add(left);
    child.stop();
  };
  const watchOver = (child: WorkerChild) =>
    child.ended.then(({ code, signal }) => {
      if (child !== current || stopping) return;
      current = undefined;
      say(`The worker ended with ${signal ?? `exit code ${code}`}. It is started again.`);
      crashTimer = setTimeout(() => void keeper.replace(), crashPauseMs);
    });
  const replaceOnce = async () => {
    const startedAt = performance.now();
    clearTimeout(crashTimer);
    next = await start();
    const isReady = await next.ready;
    const [fresh, before] = [next, current];
    next = undefined;
    if (!isReady) {
      if (!stopping)
        say(`The worker could not start. ${before ? 'The code before goes on.' : 'Save a file to try again.'}`);
      return;
    }
    current = fresh;
    if (before) dismiss(before);
    say(`Ready in ${Math.round(performance.now() - startedAt)} ms.`);
    void watchOver(fresh);
  };
  const replaceAll = async () => {
    do {
      again = false;
      await replaceOnce();
    } while (again && !stopping);
  };
  const keeper: Keeper = {
    async replace() {
      if (stopping) return;
      again = true;
      replacing ??= replaceAll().finally(() => {
        replacing = undefined;
      });
      await replacing;
    },
    async stop() {
      stopping = true;
      clearTimeout(crashTimer);
      for (const child of [current, next]) if (child) dismiss(child);
      await replacing?.catch(() => {});
      await Promise.all(leaving);
    },
  };
  return keeper;
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

/** Creates what makes workers with all framework code loaded in advance, so that new code runs sooner. */
function createNursery({ program, env }: Surroundings) {
  let spare: { flags: string; child: WorkerChild } | undefined;
  const create = (flags: string[]) => createWorkerChild(program, ['--dev-redis', ...graceFlags, ...flags], env);
  const dismiss = () => {
    spare?.child.stop();
    spare = undefined;
  };
  return {
    /** A worker that has just been started. */
    start(flags: string[]): WorkerChild {
      if (spare?.flags !== flags.join()) dismiss();
      const child = spare?.child ?? create(flags);
      spare = undefined;
      child.start();
      return child;
    },
    /** The next one, for when it is needed. */
    prepare(flags: string[]): void {
      if (!spare) spare = { flags: flags.join(), child: create(flags) };
    },
    close: dismiss,
  };
}

async function dev({ queue: asked }: DevFlags, surroundings: Surroundings): Promise<void> {
  const root = process.cwd();
  await chooseQueues(root, asked);
  const { createPrettyLog } = await import('./pretty-log.ts');
  const log = createPrettyLog();
  const nursery = createNursery(surroundings);
  const keeper = createKeeper(async () => {
    const queues = await chooseQueues(root, asked);
    const flags = queues.flatMap((name) => ['--queue', name]);
    const child = nursery.start(flags);
    child.output.pipe(log, { end: false });
    void child.ready.then(() => nursery.prepare(flags));
    return child;
  });
  let onEnd = (_: number) => {};
  const ended = new Promise<number>((resolve) => {
    onEnd = resolve;
  });
  const replace = () =>
    void keeper.replace().catch((error) => say(error instanceof Error ? error.message : String(error)));
  const onBuilt = (built: Built) => {
    if (built.built) return replace();
    say(`${built.output}\nNot compiled: the code before goes on until that is mended.`);
  };
  const builds = watchBuilds(surroundings.builder, onBuilt, () => onEnd(1));
  const settings = watchSettings(root, replace);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => onEnd(0));
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
