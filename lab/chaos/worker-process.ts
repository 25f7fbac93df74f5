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
  /** The processes that a supervisor keeps, as its log tells; of one worker none. */
  readonly kept: KeptProcesses;
  kill(signal: NodeJS.Signals): void;
}

export const isletWorker = {
  args: [resolve('bin/islet.js'), 'worker', '--queue', 'chaos'],
  cwd: resolve('dist/lab/chaos/app'),
};

/** Two workers below a parent, which replaces each of them every few seconds. */
export const supervisedWorkers = {
  ...isletWorker,
  args: [...isletWorker.args, '--processes', '2', '--max-age', '5s', '--max-age-variance', '2s'],
};

export interface KeptProcesses {
  /** Those that take jobs, or were last known to. */
  readonly living: ReadonlySet<number>;
  /** The ends that nobody asked for. */
  readonly deaths: readonly { pid: number; at: number; how: string }[];
  readonly recycled: readonly { pid: number; at: number }[];
}

/** Follows what a supervisor and its workers log. */
function followKept(): KeptProcesses & { read(line: string, parent: number | undefined): void } {
  const living = new Set<number>();
  const deaths: { pid: number; at: number; how: string }[] = [];
  const recycled: { pid: number; at: number }[] = [];
  return {
    living,
    deaths,
    recycled,
    read(line, parent) {
      if (!/"msg":"(Worker ready|Draining|A worker died|Recycling a worker)/.test(line)) return;
      const { msg, pid, time, worker, how } = JSON.parse(line);
      if (msg === 'Worker ready' && pid !== parent) living.add(pid);
      if (msg === 'Draining') living.delete(pid);
      if (msg === 'Recycling a worker') recycled.push({ pid: worker, at: Date.parse(time) });
      if (!msg.startsWith('A worker died')) return;
      living.delete(worker);
      deaths.push({ pid: worker, at: Date.parse(time), how });
    },
  };
}

/** Starts one worker; what it writes goes to a file of its own. */
export function startWorkerProcess({ args, cwd, env, logFolder }: WorkerSettings): WorkerProcess {
  const child = keepTrack(
    spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  const kept = followKept();
  const log = createWriteStream(`${logFolder}/${child.pid}.log`);
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  const exited = once(child, 'exit').then(([code, signal]) => (signal ? String(signal) : `exit code ${code}`));
  child.once('close', () => log.end());
  const ready = new Promise<boolean>((done) => {
    const lines = child.stdout && createInterface(child.stdout);
    lines?.on('line', (line) => {
      kept.read(line, child.pid);
      if (line.includes('Worker ready')) done(true);
    });
    exited.then(() => done(false));
  });
  return { pid: child.pid ?? -1, ready, exited, kept, kill: (signal) => void child.kill(signal) };
}
