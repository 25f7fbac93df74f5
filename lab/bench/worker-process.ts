import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { keepTrack, settlesWithin } from '../chaos/children.ts';
import { cpuSecondsOf, type Memory, memoryOf, type PrivatePeak, treeOf, watchPrivate } from './process-tree.ts';

/** A command line, as an operator would write it. */
export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface WorkerProcess {
  /** Resolves when it takes jobs. */
  readonly ready: Promise<void>;
  /** Of it and its children, or of it alone. */
  memory(of?: 'all' | 'alone'): Memory;
  /** Begins to look at the private memory of it and its children; returns how to end that, with the most that was seen. */
  watchPrivate(): () => PrivatePeak;
  cpuSeconds(): number;
  /** Stops it and its children as they are, so that a backlog can be laid before the clock starts. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

const readyLimitMs = 120_000;
const stopLimitMs = 10_000;
/** What is told of a worker that fails. */
const keptOutput = 4_000;

/** Starts a worker; what it prints is read and dropped, as a collector would take it. */
export function startWorker({ program, args, cwd, env }: Launch): WorkerProcess {
  // Nothing of this process's own environment but what any shell has: NODE_OPTIONS would change what is measured.
  const own = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', LANG: 'C.UTF-8', NODE_ENV: 'production' };
  const child = keepTrack(spawn(program, args, { cwd, env: { ...own, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }));
  // Without one there is no tree to signal; and -1 would mean every process of this machine.
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} cannot be started.`);
  const exited = once(child, 'exit').catch(() => {});
  let output = '';
  let signalTo: number[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`${shown()} was not ready in time.\n${output}`)), readyLimitMs);
    const look = (chunk: string) => {
      output = (output + chunk).slice(-keptOutput);
      if (/\bready\b/i.test(chunk)) done(resolve);
    };
    const done = (settle: () => void) => {
      clearTimeout(limit);
      settle();
    };
    child.stdout?.setEncoding('utf8').on('data', look);
    child.stderr?.setEncoding('utf8').on('data', look);
    child.once('error', (error) => done(() => reject(error)));
    child.once('exit', (code, signal) =>
      done(() => reject(new Error(`${shown()} ended with ${signal ?? code}.\n${output}`))),
    );
  });
  // Whoever waits for it hears of it; a case that does not must not end the run.
  ready.catch(() => {});
  const shown = () => [program, ...args].join(' ');
  const signal = (name: NodeJS.Signals) => {
    for (const member of signalTo) tryKill(member, name);
  };
  return {
    ready,
    memory: (of = 'all') => memoryOf(of === 'all' ? treeOf(pid) : [pid]),
    watchPrivate: () => watchPrivate(pid),
    cpuSeconds: () => cpuSecondsOf(pid),
    freeze() {
      signalTo = treeOf(pid);
      signal('SIGSTOP');
    },
    thaw: () => signal('SIGCONT'),
    async stop() {
      signalTo = treeOf(pid);
      child.kill('SIGTERM');
      if (!(await settlesWithin(exited, stopLimitMs))) signal('SIGKILL');
      await exited;
    },
  };
}

function tryKill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
