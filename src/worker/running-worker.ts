import { setMaxListeners } from 'node:events';
import type { Broker } from '../broker/broker.ts';
import { atMost } from './at-most.ts';
import { UnblockedClock } from './clock.ts';
import { defer } from './deferred.ts';
import { Gate } from './gate.ts';
import type { LoadedApp } from './load-app.ts';
import type { Worker } from './worker.ts';

/** How long aborted code may take to stop, in milliseconds; code that timed out shortly before may take longer. */
const stopLimitMs = 1_100;
/** How long dependencies have to close when jobs wait to be given back, in milliseconds. */
const disposeLimitMs = 400;
/** How long a stop may take after the grace: a second for code to stop, then the rest to give the jobs back. */
export const exitLimitMs = 1_800;
/**
 * How long the end of a blocked process may take after the grace, in milliseconds: its guard may be late, and tells
 * Redis first.
 */
export const blockedExitMs = 1_150;

/** A worker process with all that it has opened, until it is stopped. */
export class RunningWorker {
  readonly clock: UnblockedClock;
  readonly gate = new Gate();
  readonly workers: Worker[] = [];
  readonly queues: { queue: string; tasks: string[]; concurrency: number }[] = [];
  /** Aborts when the running jobs have had their time, and are given back. */
  readonly graceEnd = new AbortController();
  readonly broker: Broker;
  readonly #app: LoadedApp;
  readonly #graceOver = defer();
  #stopping: Promise<void> | undefined;

  constructor(app: LoadedApp, broker: Broker) {
    this.#app = app;
    this.broker = broker;
    this.clock = new UnblockedClock(() => broker.now());
    // Each running job with a hook adds a listener to this signal.
    setMaxListeners(0, this.graceEnd.signal);
  }

  /** Counts the jobs whose code runs now, and those whose code has run. */
  jobs(): { running: number; done: number } {
    const sum = (key: 'running' | 'done') => this.workers.reduce((before, worker) => before + worker[key], 0);
    return { running: sum('running'), done: sum('done') };
  }

  /** Returns what is left of a grace in milliseconds: less, if the process was asked to stop while it was blocked. */
  graceLeftMs(graceMs: number): number {
    const exitAt = this.broker.exitBy(Date.now() + graceMs + blockedExitMs);
    return Math.max(0, exitAt - blockedExitMs - Date.now());
  }

  /**
   * Takes no further job, lets the running ones finish for `graceMs` milliseconds, then aborts them and gives them
   * back. When it resolves the process has to end: code that ignored its signal may still run. Called again, it
   * shortens the grace.
   */
  stop(graceMs: number): Promise<void> {
    const timer = setTimeout(this.#graceOver.resolve, this.graceLeftMs(graceMs));
    this.#stopping ??= this.#stopWorkers().finally(() => {
      this.clock.close();
      return this.broker.close();
    });
    return this.#stopping.finally(() => clearTimeout(timer));
  }

  /** Stops the queues' workers in the order that loses nothing and runs nothing twice. */
  async #stopWorkers(): Promise<void> {
    const { workers } = this;
    const idle = () => Promise.all(workers.map((worker) => worker.idle()));
    this.gate.close();
    for (const worker of workers) worker.drain();
    await Promise.race([idle(), this.#graceOver.promise]);
    const isLate = workers.some((worker) => worker.running > 0);
    this.graceEnd.abort();
    for (const worker of workers) worker.abort();
    await atMost(stopLimitMs, idle());
    try {
      await (isLate ? atMost(disposeLimitMs, this.#app.close()) : this.#app.close());
    } finally {
      // A dependency that cannot be closed keeps no job from going back.
      await Promise.all(workers.map((worker) => worker.close()));
    }
  }
}
