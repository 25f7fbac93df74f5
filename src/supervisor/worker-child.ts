import { type ChildProcess, fork } from 'node:child_process';
import type { Readable } from 'node:stream';
import { defaultProfile, launchProfiles } from '../launch-profiles.ts';

export interface WorkerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * One worker process that somebody keeps. It has loaded the framework when it is made, and waits. It drains and ends by
 * itself when its parent is gone.
 */
export interface WorkerChild {
  readonly pid: number | undefined;
  /** Lets it load the app and take jobs; what is on disk now is what it runs. */
  start(): void;
  /** Its log: one JSON line each. */
  readonly output: Readable;
  /** Resolves with true when it takes jobs, with false when it ended before. */
  readonly ready: Promise<boolean>;
  readonly ended: Promise<WorkerExit>;
  /** Lets running jobs finish, gives back what is left, and ends it. */
  stop(): void;
}

/** What a parent tells a supervised worker that is to load the app, and what that answers when it takes jobs. */
export const messages = { start: 'start', ready: 'ready' };

function waitUntilReady(child: ChildProcess, ended: Promise<WorkerExit>): Promise<boolean> {
  const told = new Promise<boolean>((resolve) => {
    child.on('message', (message) => message === messages.ready && resolve(true));
  });
  return Promise.race([told, ended.then(() => false)]);
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
    child.on('error', () => resolve({ code: 1, signal: null }));
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    pid: child.pid,
    start: () => void child.send(messages.start),
    output: child.stdout as Readable,
    ready: waitUntilReady(child, ended),
    ended,
    stop: () => void child.kill('SIGTERM'),
  };
}
