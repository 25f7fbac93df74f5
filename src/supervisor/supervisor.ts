import { availableParallelism } from 'node:os';
import { KeptWorker } from './kept-worker.ts';
import type { LineLog } from './line-log.ts';
import { type FromWorker, refusedExitCode } from './messages.ts';
import { crashLoopDeaths, crashLoopExitCode, pauseBeforeStart, steadyMs } from './restarts.ts';
import type { WorkerChild, WorkerExit } from './worker-child.ts';

interface SupervisorOptions {
  /** How many workers take jobs at any time. */
  processes: number;
  /** How long running jobs may go on at a stop, in milliseconds, until a worker has told the settings. */
  gracefulTimeoutMs: number;
  log: LineLog;
  /** Makes a worker that waits for its start. Indexes count from 0, and no two living workers share one. */
  create(index: number): WorkerChild;
  /** Called with each worker's settings. */
  onSettings?(settings: { healthPort: number; devRedis: boolean }): void;
  random?: () => number;
}

const isSteady = ({ readyAt }: KeptWorker) => readyAt !== undefined && performance.now() - readyAt >= steadyMs;

/**
 * Keeps worker processes. A worker that dies is replaced. Workers that are due are recycled one at a time: the successor
 * takes jobs before the old one stops to.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #workers = new Set<KeptWorker>();
  #end: (code: number) => void = () => {};
  /** Resolves with the exit code when no worker is left. */
  readonly ended = new Promise<number>((resolve) => {
    this.#end = resolve;
  });
  #graceMs: number;
  /** Whether a worker was ready once, so that the code is known to start. */
  #proven = false;
  /** The worker that goes on until its successor takes jobs, and then drains. */
  #outgoing: KeptWorker | undefined;
  #earlyDeaths = 0;
  /** When the first of the early deaths was. */
  #deathsSince = 0;
  #startAt = 0;
  #startTimer: NodeJS.Timeout | undefined;
  #exitCode: number | undefined;
  /** Whether a worker failed while all were asked to end. */
  #stopFailed = false;
  #stops = 0;
  #lastDeathAt = Number.NEGATIVE_INFINITY;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#graceMs = options.gracefulTimeoutMs;
  }

  /** Starts missing workers. The first one starts alone, so that code which does not start is tried once at a time. */
  start(): void {
    if (this.#exitCode !== undefined) return;
    const live = this.#live();
    const starting = live.filter(({ state }) => state === 'starting').length;
    const extra = this.#outgoing?.state === 'ready' ? 1 : 0;
    const wanted = this.#proven ? this.#options.processes + extra : 1;
    const missing = Math.min(wanted - live.length, Math.max(2, availableParallelism()) - starting);
    if (missing <= 0) return;
    const pauseMs = this.#startAt - performance.now();
    clearTimeout(this.#startTimer);
    if (pauseMs > 0) this.#startTimer = setTimeout(() => this.start(), pauseMs);
    else for (let count = 0; count < missing; count++) if (!this.#launch()) return;
  }

  /** `ok` while a worker takes jobs, or when all were asked to stop; `failed` when the supervisor gives up. */
  get health(): 'starting' | 'ok' | 'failed' {
    if (this.#exitCode !== undefined) return this.#exitCode === 0 ? 'ok' : 'failed';
    return this.#ready().length > 0 ? 'ok' : 'starting';
  }

  get status() {
    const ageMs = Math.round(process.uptime() * 1_000);
    const rssMb = Math.round(process.memoryUsage.rss() / 1_048_576);
    return { parent: { pid: process.pid, ageMs, rssMb }, workers: [...this.#workers].map(({ status }) => status) };
  }

  /** Replaces all workers, one by one; a worker that is starting may have loaded the old code, too. */
  recycleAll(): void {
    for (const worker of this.#live()) worker.due ??= 'signal';
    this.#recycleNext();
  }

  /** Lets all workers finish; the second call aborts their jobs, and the third kills the workers. */
  stop(): void {
    this.#stops += 1;
    if (this.#stops > 2) for (const worker of this.#workers) worker.kill();
    else if (this.#stops > 1) for (const worker of this.#workers) worker.abort();
    else this.giveUp(0);
  }

  /** Lets all workers finish, and ends with this exit code. */
  giveUp(exitCode: number): void {
    this.#exitCode ??= exitCode;
    clearTimeout(this.#startTimer);
    for (const worker of this.#workers) worker.stop();
    if (this.#workers.size === 0) this.#end(this.#exitCode);
  }

  #live(): KeptWorker[] {
    return [...this.#workers].filter(({ state }) => state !== 'leaving');
  }

  #ready(): KeptWorker[] {
    return this.#live().filter(({ state }) => state === 'ready');
  }

  /** Starts a worker. A system that is short of memory or processes refuses that, and is asked again after a pause. */
  #launch(): boolean {
    let index = 0;
    while ([...this.#workers].some((worker) => worker.index === index)) index += 1;
    try {
      const child = this.#options.create(index);
      const worker = new KeptWorker(child, index, this.#graceMs);
      child.onMessage((message) => this.#hear(worker, message));
      void child.ended.then((exit) => this.#onEnded(worker, exit));
      this.#workers.add(worker);
      return true;
    } catch (error) {
      const how = error instanceof Error ? error.message : String(error);
      this.#countEarlyDeath({ how }, 'A worker cannot be started');
      setTimeout(() => this.start());
      return false;
    }
  }

  #hear(worker: KeptWorker, message: FromWorker): void {
    if (message.say === 'settings') {
      worker.graceMs = message.gracefulTimeoutMs;
      this.#graceMs = message.gracefulTimeoutMs;
      this.#options.log.level = message.logLevel;
      this.#options.onSettings?.(message);
    } else if (message.say === 'load') worker.load = message.load;
    // A worker that was asked to end does not count as a successor, although it says only now that it is ready.
    else if (message.say === 'ready' && worker.state === 'starting') this.#onReady(worker);
    else if (message.say === 'due') {
      worker.due ??= message.why;
      this.#recycleNext();
    } else if (message.say === 'leaving' && !worker.asked) {
      worker.state = 'leaving';
      worker.killAfterGrace();
      if (message.failed) this.#countDeath(worker, 'it stops by itself');
      this.start();
    }
  }

  #onReady(worker: KeptWorker): void {
    worker.becomeReady();
    setTimeout(() => {
      // A worker that started before the deaths does not show whether another would start now.
      if (this.#workers.has(worker) && !worker.counted && worker.startedAt >= this.#deathsSince) this.#earlyDeaths = 0;
    }, steadyMs).unref();
    // The worker has looked for what the dead left before it was ready, and was told of no death since.
    if (this.#lastDeathAt > worker.startedAt) worker.child.tell({ say: 'died' });
    if (!this.#proven) {
      this.#proven = true;
      const { processes } = this.#options;
      this.#options.log.write('info', { processes, rssMb: this.status.parent.rssMb }, 'Supervisor ready');
    }
    const outgoing = this.#outgoing;
    if (outgoing?.state === 'ready' && this.#ready().length > this.#options.processes) {
      const { pid, ageMs, jobs, rssMb } = outgoing.status;
      const fields = { worker: pid, why: outgoing.due, ageMs, jobs, rssMb, successor: worker.status.pid };
      this.#options.log.write('info', fields, 'Recycling a worker');
      outgoing.stop();
    }
    this.start();
    this.#recycleNext();
  }

  #onEnded(worker: KeptWorker, { code, signal }: WorkerExit): void {
    this.#workers.delete(worker);
    if (this.#outgoing === worker) this.#outgoing = undefined;
    // Others look for what the worker left, also when it was killed at its stop.
    if (code !== 0 || worker.state !== 'leaving') {
      this.#lastDeathAt = performance.now();
      for (const other of this.#ready()) other.child.tell({ say: 'died' });
    }
    if (code === refusedExitCode && !this.#proven) this.giveUp(refusedExitCode);
    else this.#explainEnd(worker, code, signal);
    if (this.#exitCode !== undefined && this.#workers.size === 0) this.#end(this.#stopFailed ? 1 : this.#exitCode);
    this.start();
    this.#recycleNext();
  }

  #explainEnd(worker: KeptWorker, code: number | null, signal: NodeJS.Signals | null): void {
    const fields = { worker: worker.status.pid, code, signal };
    if (worker.asked) {
      // A worker that was still starting does not drain.
      const drains = worker.readyAt !== undefined;
      if (code === 0 || !drains) return;
      this.#options.log.write('warn', fields, 'A worker did not end as it was asked');
      // One that hung was killed on purpose.
      if (code !== null && this.#exitCode === 0) this.#stopFailed = true;
    } else if (code === 0 && worker.state === 'leaving') {
      this.#options.log.write('info', fields, 'A worker has drained by itself, or was asked to by somebody else');
    } else {
      const how = signal ?? `exit code ${code}`;
      this.#countDeath(worker, worker.killed ? `${how}, since it hung` : how);
    }
  }

  #countDeath(worker: KeptWorker, how: string): void {
    if (worker.counted || this.#exitCode !== undefined) return;
    worker.counted = true;
    const { pid, ageMs, jobs, running } = worker.status;
    const fields = { worker: pid, how, ageMs, jobs, running };
    if (isSteady(worker)) {
      // Where no worker is left that takes jobs, the pause after earlier deaths is skipped.
      if (this.#ready().length === 0) this.#startAt = 0;
      const pauseMs = Math.max(0, Math.round(this.#startAt - performance.now()));
      this.#options.log.write('error', { ...fields, pauseMs }, 'A worker died: it is replaced');
    } else this.#countEarlyDeath(fields);
  }

  /** Answers early deaths in a row with longer and longer pauses, and gives up where no steady worker takes jobs. */
  #countEarlyDeath(fields: object, what = 'A worker died: it is replaced'): void {
    this.#earlyDeaths += 1;
    if (this.#earlyDeaths === 1) this.#deathsSince = performance.now();
    if (this.#earlyDeaths >= crashLoopDeaths && !this.#ready().some(isSteady)) {
      const loop = { code: 'E_CRASH_LOOP', ...fields, deaths: this.#earlyDeaths, exitCode: crashLoopExitCode };
      this.#options.log.write('fatal', loop, `Workers die again and again before ${steadyMs / 1_000} s: giving up`);
      this.giveUp(crashLoopExitCode);
    } else {
      const pauseMs = pauseBeforeStart(this.#earlyDeaths, this.#options.random ?? Math.random);
      this.#startAt = performance.now() + pauseMs;
      this.#options.log.write('error', { ...fields, pauseMs }, what);
    }
  }

  /** Prepares the successor of one worker that is due, when all others are there. */
  #recycleNext(): void {
    if (this.#exitCode !== undefined || this.#outgoing || this.#live().length < this.#options.processes) return;
    this.#outgoing = this.#ready().find(({ due }) => due !== undefined);
    if (this.#outgoing) this.start();
  }
}
