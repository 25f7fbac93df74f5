import { type ChildProcess, fork } from 'node:child_process';
import type { Readable } from 'node:stream';
import { defaultProfile, launchProfiles, type ProfileName } from '../launch-profiles.ts';
import type { FromWorker, ToWorker } from './messages.ts';

export interface WorkerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * One worker process that somebody keeps. It has loaded the framework when it is made, and waits. It drains and ends by
 * itself when its parent is gone, and is ended when it cannot.
 */
export interface WorkerChild {
  readonly pid: number | undefined;
  /** Lets it load the app and take jobs; what is on disk now is what it runs. */
  start(): void;
  /** Its log: one JSON line each. Empty when it writes to its parent's own. */
  readonly output: Readable;
  /** The queue whose code it loads, or has loaded last. */
  readonly loading: string | undefined;
  /** Resolves with true when it takes jobs, with false when it ended before. */
  readonly ready: Promise<boolean>;
  /** Resolves when it takes no further job, or has ended. */
  readonly leaving: Promise<void>;
  readonly ended: Promise<WorkerExit>;
  onMessage(listener: (message: FromWorker) => void): void;
  tell(message: ToWorker): void;
  /** Lets running jobs finish, gives back what is left, and ends it. If it lives on after `limitMs`, it is killed. */
  stop(limitMs?: number): void;
  /** Ends it at once. */
  kill(): void;
}

export interface LaunchOptions {
  profile?: ProfileName;
  /** Whether its log is to be read from `output`, or goes where its parent's goes. Default: 'pipe'. */
  output?: 'pipe' | 'inherit';
}

/** A parent's own launch line is not its workers', who have one of their own. */
function inheritedFlags(): string[] {
  const ofProfiles = new Set(Object.values(launchProfiles).flatMap(({ flags }) => flags as readonly string[]));
  return process.execArgv.filter((flag) => !ofProfiles.has(flag.replaceAll('_', '-')));
}

function listen(child: ChildProcess, ended: Promise<WorkerExit>) {
  const told: { loading?: string } = {};
  let isReady = (_ready: boolean) => {};
  let isLeaving = () => {};
  const ready = new Promise<boolean>((resolve) => {
    isReady = resolve;
  });
  const leaving = new Promise<void>((resolve) => {
    isLeaving = resolve;
  });
  child.on('message', (message: FromWorker) => {
    if (message.say === 'loading') told.loading = message.queue;
    if (message.say === 'ready') isReady(true);
    if (message.say === 'leaving') isLeaving();
  });
  void ended.then(() => {
    isReady(false);
    isLeaving();
  });
  return { told, ready, leaving };
}

/**
 * Starts a process that waits until it may be a worker: `program` is the file that runs, `args` is the command line of a
 * supervised worker, and `env` is its environment beside that of its launch profile.
 */
export function createWorkerChild(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { profile = defaultProfile, output = 'pipe' }: LaunchOptions = {},
): WorkerChild {
  const launch = launchProfiles[profile];
  const child = fork(program, args, {
    // What somebody has set deliberately holds.
    env: { ...launch.env, ...env },
    execArgv: [...launch.flags, ...inheritedFlags()],
    stdio: ['ignore', output, 'inherit', 'ipc'],
  });
  const ended = new Promise<WorkerExit>((resolve) => {
    child.on('error', () => child.pid === undefined && resolve({ code: 1, signal: null }));
    // Its output is read to the end; nothing else is waited for, not even a process of its own that holds the channel.
    child.on(output === 'pipe' ? 'close' : 'exit', (code, signal) => resolve({ code, signal }));
  });
  const tell = (message: ToWorker) => {
    // It may be gone by then, which its end tells.
    if (child.connected) child.send(message, () => {});
  };
  const { told, ready, leaving } = listen(child, ended);
  const kill = () => void child.kill('SIGKILL');
  return {
    pid: child.pid,
    start: () => tell({ say: 'start', parent: process.pid }),
    output: child.stdout as Readable,
    get loading() {
      return told.loading;
    },
    ready,
    leaving,
    ended,
    onMessage: (listener) => void child.on('message', listener),
    tell,
    stop(limitMs) {
      child.kill('SIGTERM');
      if (limitMs === undefined) return;
      const limit = setTimeout(kill, limitMs);
      void ended.then(() => clearTimeout(limit));
    },
    kill,
  };
}
