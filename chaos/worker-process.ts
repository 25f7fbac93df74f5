import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { keepTrack } from './children.ts';

export interface WorkerSettings {
  /** What Node is given to run. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFolder: string;
}

export interface WorkerProcess {
  readonly pid: number;
  /** Resolves with true when it takes jobs, with false when it ended before. */
  readonly ready: Promise<boolean>;
  /** Resolves with how it ended. */
  readonly exited: Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

export const isletWorker = {
  args: [resolve('bin/islet.js'), 'worker', '--queue', 'chaos'],
  cwd: resolve('dist/chaos/app'),
};

/** Starts one worker; what it writes goes to a file of its own. */
export function startWorkerProcess({ args, cwd, env, logFolder }: WorkerSettings): WorkerProcess {
  const child = keepTrack(
    spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  const log = createWriteStream(`${logFolder}/${child.pid}.log`);
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  const exited = once(child, 'exit').then(([code, signal]) => (signal ? String(signal) : `exit code ${code}`));
  child.once('close', () => log.end());
  const ready = new Promise<boolean>((done) => {
    if (child.stdout) createInterface(child.stdout).on('line', (line) => line.includes('Worker ready') && done(true));
    exited.then(() => done(false));
  });
  return { pid: child.pid ?? -1, ready, exited, kill: (signal) => void child.kill(signal) };
}
