import { type ChildProcess, fork } from 'node:child_process';
import type { Readable } from 'node:stream';
import { defaultProfile, launchProfiles } from '../launch-profiles.ts';

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
  /** Its log: one JSON line each. */
  readonly output: Readable;
  /** The queue whose code it loads, or has loaded last. */
  readonly loading: string | undefined;
  /** Resolves with true when it takes jobs, with false when it ended before. */
  readonly ready: Promise<boolean>;
  readonly ended: Promise<WorkerExit>;
  /** Lets running jobs finish, gives back what is left, and ends it. If it lives on after `limitMs`, it is killed. */
  stop(limitMs?: number): void;
  /** Ends it at once. Its jobs run again elsewhere, when their locks have run out. */
  kill(): void;
}

/** What a parent tells a supervised worker. */
export type ToWorker =
  /** It may load the app and take jobs; `parent` is the id of the process that a thread there looks for. */
  { say: 'start'; parent: number };

/** What a supervised worker tells its parent. */
export type FromWorker =
  /** It loads the code of this queue now. */
  | { say: 'loading'; queue: string }
  /** It takes jobs. */
  | { say: 'ready' };

function listen(child: ChildProcess, ended: Promise<WorkerExit>) {
  const told: { loading?: string } = {};
  const isReady = new Promise<boolean>((resolve) => {
    child.on('message', (message: FromWorker) => {
      if (message.say === 'loading') told.loading = message.queue;
      if (message.say === 'ready') resolve(true);
    });
  });
  return { told, ready: Promise.race([isReady, ended.then(() => false)]) };
}

/**
 * Makes a child of `islet worker <args>`, which waits for its start: `program` is the file of the command line, `env`
 * the environment that it is given beside its launch profile's.
 */
export function createWorkerChild(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): WorkerChild {
  const launch = launchProfiles[defaultProfile];
  const child = fork(program, ['worker', '--supervised', ...args], {
    // What somebody has set deliberately holds.
    env: { ...launch.env, ...env },
    execArgv: [...launch.flags, ...process.execArgv],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const ended = new Promise<WorkerExit>((resolve) => {
    child.on('error', () => child.pid === undefined && resolve({ code: 1, signal: null }));
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const { told, ready } = listen(child, ended);
  const kill = () => void child.kill('SIGKILL');
  return {
    pid: child.pid,
    start() {
      const message: ToWorker = { say: 'start', parent: process.pid };
      // It may be gone by then, which its end tells.
      if (child.connected) child.send(message, () => {});
    },
    output: child.stdout as Readable,
    get loading() {
      return told.loading;
    },
    ready,
    ended,
    stop(limitMs) {
      child.kill('SIGTERM');
      if (limitMs === undefined) return;
      const limit = setTimeout(kill, limitMs);
      void ended.then(() => clearTimeout(limit));
    },
    kill,
  };
}
