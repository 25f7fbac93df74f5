import { resolve } from 'node:path';
import { Child, describeEnd } from '../kit/child.ts';

export interface TargetSettings {
  /** The arguments of Node. */
  readonly args: readonly string[];
  readonly cwd: string;
  /** Variables on top of this process's environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly logFolder: string;
}

/** The end of a process that nobody asked for, kills included. */
export interface Death {
  readonly pid: number;
  readonly at: number;
  readonly how: string;
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

/** What the faults hit: the process of a worker, or that of a supervisor with the workers that it keeps. */
export class Target {
  readonly pid: number;
  /** Resolves with true when the process, or a worker below it, takes jobs, or with false when it ends before. */
  readonly ready: Promise<boolean>;
  /** Resolves with how the process ended. */
  readonly exited: Promise<string>;
  /** The workers below a supervisor that take jobs, or did so when they were last heard of. */
  readonly living = new Set<number>();
  /** The deaths of workers below a supervisor. */
  readonly deaths: Death[] = [];
  /** The workers that a supervisor has replaced because of their age. */
  readonly recycled: { pid: number; at: number }[] = [];
  readonly #child: Child;

  /** Starts the process, and writes its output to a file of its own. */
  constructor({ args, cwd, env, logFolder }: TargetSettings) {
    const child = new Child({ program: process.execPath, args, cwd, env: { ...process.env, ...env } });
    void child.logTo(`${logFolder}/${child.pid}.log`);
    child.onLine((line) => this.#read(line));
    this.pid = child.pid;
    this.ready = child.says('Worker ready');
    this.exited = child.exited.then(describeEnd);
    this.#child = child;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks the process to end, and kills it when it takes longer than the limit. */
  stop(limitMs: number): Promise<void> {
    return this.#child.stop(limitMs);
  }

  /** Follows what a supervisor and its workers log. */
  #read(line: string): void {
    if (!/"msg":"(Worker ready|Draining|A worker died|Recycling a worker)/.test(line)) return;
    const { msg, pid, time, worker, how } = JSON.parse(line);
    if (msg === 'Worker ready' && pid !== this.pid) this.living.add(pid);
    if (msg === 'Draining') this.living.delete(pid);
    if (msg === 'Recycling a worker') this.recycled.push({ pid: worker, at: Date.parse(time) });
    if (!msg.startsWith('A worker died')) return;
    this.living.delete(worker);
    this.deaths.push({ pid: worker, at: Date.parse(time), how });
  }
}
