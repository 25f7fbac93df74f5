import { fork } from 'node:child_process';
import type { Readable } from 'node:stream';
import { defaultProfile, launchProfiles, type ProfileName, withoutProfile } from '../launch-profiles.ts';
import type { FromWorker, ToWorker } from './messages.ts';

export interface WorkerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export type WorkerChild = ReturnType<typeof createWorkerChild>;

/**
 * Creates a worker process, which loads the framework and waits for its start: `program` is the file that runs, `args` is
 * the command line of a supervised worker, and `env` is its environment beside that of its launch profile. A worker whose
 * parent is gone drains and ends by itself, and is ended if it cannot.
 */
export function createWorkerChild(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { profile = defaultProfile, output = 'pipe' }: { profile?: ProfileName; output?: 'pipe' | 'inherit' } = {},
) {
  const launch = launchProfiles[profile];
  const child = fork(program, args, {
    // A variable that somebody has set wins over the profile's.
    env: { ...launch.env, ...env },
    // A parent's own profile is not that of its workers.
    execArgv: [...launch.flags, ...withoutProfile(process.execArgv)],
    stdio: ['ignore', output, 'inherit', 'ipc'],
  });
  const ended = new Promise<WorkerExit>((resolve) => {
    child.on('error', () => child.pid === undefined && resolve({ code: 1, signal: null }));
    // The output is read to its end; a process of the worker's own that holds the channel is not waited for.
    child.on(output === 'pipe' ? 'close' : 'exit', (code, signal) => resolve({ code, signal }));
  });
  const tell = (message: ToWorker) => {
    // The worker may be gone by then; `ended` tells that.
    if (child.connected) child.send(message, () => {});
  };
  const kill = () => void child.kill('SIGKILL');
  return {
    pid: child.pid,
    /** Lets the worker load the app, as it is on disk now, and take jobs. */
    start: ({ tellFiles = false } = {}) => tell({ say: 'start', parent: process.pid, tellFiles }),
    /** The worker's log, as lines of JSON, unless the worker writes to its parent's output. */
    output: child.stdout as Readable,
    ended,
    onMessage: (listener: (message: FromWorker) => void) => void child.on('message', listener),
    tell,
    /** Lets running jobs finish, gives back the others, and ends the worker, which is killed if it lives after `limitMs`. */
    stop(limitMs?: number) {
      child.kill('SIGTERM');
      if (limitMs === undefined) return;
      const limit = setTimeout(kill, limitMs);
      void ended.then(() => clearTimeout(limit));
    },
    kill,
  };
}
