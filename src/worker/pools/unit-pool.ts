import { availableParallelism } from 'node:os';
import type { TaskSource } from '../../app/app-source.ts';
import { IsletError, PoolCrashedError } from '../../errors.ts';
import type { PoolSettings } from '../../manifest/pool.ts';
import { type Deferred, defer } from '../deferred.ts';
import type { PoolCalls, PoolJob } from '../pool-job.ts';
import { startUnit, type UnitProgram } from './start-unit.ts';
import { type UnitEnd, UnitHandle } from './unit-handle.ts';

export interface PoolHost {
  readonly program: UnitProgram;
  /** Writes a line of a unit's logger among the worker's own. */
  writeLine(line: string): void;
}

/** How long a unit has to dispose of what it opened, in milliseconds. */
const closeMs = 5_000;
/** The part of `maxMemoryMb` above which a unit is replaced after a job. */
const replaceShare = 0.75;
/** Within which time a job for which there is no room comes back, in milliseconds. */
const waitLimits = { least: 1_000, most: 15_000 };
/** How much the last job's duration weighs in the average. */
const newest = 0.3;

/** The default size leaves a core to the worker's own loop, and to Redis. */
const coresButOne = () => Math.max(1, availableParallelism() - 1);

/**
 * The pool of one task's threads or processes; it starts none before the first job. Piscina and tinypool would not do: an
 * abort ends their threads before the code hears of it, neither replaces one thread by its jobs and memory, and tinypool
 * gives a process a second after SIGTERM and does not tell how it died. With piscina a worker would take 5 MB more.
 */
export class UnitPool {
  /** How many jobs run at once. */
  readonly size: number;
  readonly #source: TaskSource;
  readonly #settings: PoolSettings;
  readonly #host: PoolHost;
  readonly #units = new Set<UnitHandle>();
  /** The units without a job, with the timers that end them; the one that worked last is last. */
  readonly #idle = new Map<UnitHandle, NodeJS.Timeout>();
  /** The jobs without a unit, the one that waits longest first. */
  readonly #waiting = new Set<Deferred<UnitHandle>>();
  /** The ends of units that have given their place away, and are still there. */
  readonly #leaving = new Set<Promise<void>>();
  #meanMs = waitLimits.least;
  #closed = false;

  constructor(source: TaskSource, host: PoolHost) {
    this.#source = source;
    this.#settings = source.manifest.pool as PoolSettings;
    this.#host = host;
    this.size = this.#settings.size ?? coresButOne();
  }

  /** Whether as many jobs wait here as run. */
  get isFull(): boolean {
    return this.#waiting.size >= this.size;
  }

  /** Returns in how many milliseconds there may be room. */
  waitMs(): number {
    const ms = (this.#meanMs * (this.#waiting.size + 1)) / this.size;
    const bounded = Math.max(waitLimits.least, Math.min(waitLimits.most, ms));
    // The jobs that wait must not come back all at once.
    return Math.round(bounded * (1 + Math.random() / 2));
  }

  /** Starts a thread or process, lets it load the task, and ends it. Throws what a worker's start throws. */
  async prove(): Promise<void> {
    const unit = this.#start();
    try {
      const memoryMb = await unit.ready;
      if (memoryMb > this.#replaceAboveMb) throw this.#refuseMemory(memoryMb);
    } finally {
      await unit.close(closeMs);
    }
  }

  /**
   * Runs one job, and returns its result as JSON. Throws what the code threw; `E_POOL_CRASHED` when that ended its
   * thread or process; the signal's reason when it was ended because it did not stop.
   */
  async run(job: PoolJob, calls: PoolCalls): Promise<string | undefined> {
    const end = await this.#runOnce(job, calls);
    // The unit died of something else, just when it was given the job.
    const isInnocent = end.kind === 'crashed' && !end.started;
    return this.#unwrap(isInnocent ? await this.#runOnce(job, calls) : end, job, calls);
  }

  /** Ends all threads and processes. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    for (const unit of this.#units) void this.#retire(unit);
    await Promise.all(this.#leaving);
  }

  get #replaceAboveMb(): number {
    return this.#settings.maxMemoryMb * replaceShare;
  }

  #start(): UnitHandle {
    const { manifest, file } = this.#source;
    const { kind, maxJobs, maxMemoryMb } = this.#settings;
    const { program, writeLine } = this.#host;
    const { name: task, queue } = manifest;
    const parent = kind === 'process' ? process.pid : undefined;
    const order = { queue, task, maxJobs, replaceAboveMb: this.#replaceAboveMb, parent };
    const startFailed = (how: string) => {
      const what = `Task "${task}" (queue "${queue}"), ${file}: the ${kind} that was to load it ${how}.`;
      return new IsletError('E_TASK_LOAD_FAILED', what);
    };
    return new UnitHandle(startUnit({ kind, program, order, maxMemoryMb }), { writeLine, startFailed });
  }

  async #startUnit(): Promise<UnitHandle> {
    let unit: UnitHandle;
    try {
      unit = this.#start();
    } catch (error) {
      // The system makes no thread or process just now. Where there is none, nobody would come to the jobs that wait.
      if (this.#units.size === 0) this.#nextInLine()?.resolve(this.#startUnit());
      throw error;
    }
    this.#units.add(unit);
    unit.ended.then(() => this.#leave(unit));
    await unit.ready;
    return unit;
  }

  /** Gives the place of a unit that ends to the job that waits longest. */
  #leave(unit: UnitHandle): void {
    if (!this.#units.delete(unit)) return;
    this.#endRest(unit);
    this.#nextInLine()?.resolve(this.#startUnit());
  }

  /** Makes room for a unit's successor at once; the unit disposes of what it opened beside that. */
  #retire(unit: UnitHandle): Promise<void> {
    this.#leave(unit);
    const closing = unit.close(closeMs).finally(() => this.#leaving.delete(closing));
    this.#leaving.add(closing);
    return closing;
  }

  #nextInLine(): Deferred<UnitHandle> | undefined {
    const [next] = this.#waiting;
    if (next) this.#waiting.delete(next);
    return next;
  }

  /** Waits for a unit, and no longer when the job is aborted meanwhile: the next job gets the unit then. */
  async #acquire(signal: AbortSignal): Promise<UnitHandle> {
    signal.throwIfAborted();
    const rested = [...this.#idle.keys()].at(-1);
    if (rested) {
      this.#endRest(rested);
      return rested;
    }
    const turn = defer<UnitHandle>();
    if (this.#units.size < this.size) turn.resolve(this.#startUnit());
    else this.#waiting.add(turn);
    const aborted = defer<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([turn.promise, aborted.promise]);
    } catch (error) {
      this.#waiting.delete(turn);
      const giveBack = (unit: UnitHandle) => this.#giveBack(unit);
      turn.promise.then(giveBack, () => {});
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #endRest(unit: UnitHandle): void {
    clearTimeout(this.#idle.get(unit));
    this.#idle.delete(unit);
  }

  #giveBack(unit: UnitHandle) {
    if (!this.#units.has(unit)) return;
    if (!unit.usable) return void this.#retire(unit);
    const next = this.#nextInLine();
    if (next) return next.resolve(unit);
    const { idleTimeoutMs } = this.#settings;
    if (idleTimeoutMs === 0 || this.#closed) return void this.#retire(unit);
    const timer = setTimeout(() => this.#retire(unit), idleTimeoutMs);
    this.#idle.set(unit, timer);
  }

  async #runOnce(job: PoolJob, calls: PoolCalls): Promise<UnitEnd> {
    const unit = await this.#acquire(calls.signal);
    calls.onBegin();
    const startedAt = performance.now();
    const end = await unit.run(job, calls);
    this.#meanMs += (performance.now() - startedAt - this.#meanMs) * newest;
    this.#giveBack(unit);
    return end;
  }

  #unwrap(end: UnitEnd, job: PoolJob, { signal }: PoolCalls): string | undefined {
    if (end.kind === 'returned') return end.resultJson;
    if (end.kind === 'threw') throw end.error;
    if (end.kind === 'killed') throw signal.reason;
    const { name, queue } = this.#source.manifest;
    const whose = `Job "${job.jobId}" of task "${name}" (queue "${queue}")`;
    throw new PoolCrashedError(`${whose} ended its ${this.#settings.kind}, and no other job: that ${end.how}.`);
  }

  #refuseMemory(memoryMb: number): IsletError {
    const { name, queue } = this.#source.manifest;
    const { kind, maxMemoryMb } = this.#settings;
    const takes = `an idle ${kind} of it takes ${Math.round(memoryMb)} MB`;
    const seen = `Task "${name}" (queue "${queue}") has \`pool.maxMemoryMb\` ${maxMemoryMb}, but ${takes}`;
    const advice = `Give it more than ${Math.ceil(memoryMb / replaceShare)}, with room for its jobs.`;
    return new IsletError('E_POOL_MEMORY_LOW', `${seen}: it would be replaced after each job. ${advice}`);
  }
}
