import { availableParallelism } from 'node:os';
import type { TaskSource } from '../../app/app-source.ts';
import { IsletError, PoolCrashedError } from '../../errors.ts';
import type { JobAbort } from '../../job-abort.ts';
import type { PoolSettings } from '../../manifest/pool.ts';
import { type Deferred, defer } from '../deferred.ts';
import { internalError } from '../describe-error.ts';
import type { UnitOrder } from './messages.ts';
import type { UnitDeath } from './start-unit.ts';
import { type PooledJob, type PoolHost, type UnitEnd, UnitHandle } from './unit-handle.ts';

/** The part of `maxMemoryMb` above which a unit is replaced after a job. */
const replaceShare = 0.75;
/** When a job for which there is no room comes back, in milliseconds. */
const waitLimits = { least: 1_000, most: 15_000 };
/** How much the last job's duration weighs in the average. */
const newest = 0.3;
/** How many units may be ended by others in a row, before the code of a job has started in one. */
const mostLost = 3;

/**
 * The pool of one task's threads or processes; it starts none before the first job. Piscina and tinypool would not do: an
 * abort ends their threads before the code hears of it, and neither replaces one thread by its jobs and memory.
 */
export class UnitPool {
  readonly size: number;
  readonly #source: TaskSource;
  /** The task's name in messages. */
  readonly #name: string;
  readonly #settings: PoolSettings;
  readonly #order: UnitOrder;
  readonly #host: PoolHost;
  readonly #units = new Set<UnitHandle>();
  /** The units without a job, with the timers that end them; the one that worked last is last. */
  readonly #idle = new Map<UnitHandle, NodeJS.Timeout>();
  /** The jobs without a unit, the one that waits longest first. */
  readonly #waiting = new Set<Deferred<UnitHandle>>();
  /** The errors of units that were ended by others as they started: the task may well be loaded by the next one. */
  readonly #losses = new WeakSet<Error>();
  /** The ends of units that have given their place away, and are still there. */
  readonly #leaving = new Set<Promise<void>>();
  #meanMs = waitLimits.least;
  #closed = false;

  constructor(source: TaskSource, host: PoolHost) {
    const { name: task, queue } = source.manifest;
    const settings = source.manifest.pool as PoolSettings;
    const { kind, maxJobs, maxMemoryMb } = settings;
    const parent = kind === 'process' ? process.pid : undefined;
    this.#source = source;
    this.#name = `"${task}" (queue "${queue}")`;
    this.#settings = settings;
    this.#order = { queue, task, maxJobs, maxMemoryMb, replaceAboveMb: maxMemoryMb * replaceShare, parent };
    this.#host = host;
    // The default leaves a core to the worker's own loop, and to Redis.
    this.size = settings.size ?? Math.max(1, availableParallelism() - 1);
  }

  /** Returns in how many milliseconds there may be room, or nothing unless as many jobs wait here as run. */
  waitMs(): number | undefined {
    if (this.#waiting.size < this.size) return undefined;
    const ms = (this.#meanMs * (this.#waiting.size + 1)) / this.size;
    const bounded = Math.max(waitLimits.least, Math.min(waitLimits.most, ms));
    // The jobs that wait must not come back all at once.
    return Math.round(bounded * (1 + Math.random() / 2));
  }

  /** Starts a thread or process, lets it load the task, and ends it. Throws what a worker's start throws. */
  async prove(): Promise<void> {
    await this.#tryUnits(() => this.#prove());
  }

  async #prove(): Promise<undefined> {
    const unit = this.#start();
    try {
      const memoryMb = await unit.ready;
      if (memoryMb > this.#order.replaceAboveMb) throw this.#refuseMemory(memoryMb);
    } finally {
      await unit.close();
    }
  }

  /**
   * Runs one job, and returns its result as JSON. Throws what the code threw; `E_POOL_CRASHED` when that ended its
   * thread or process; the signal's reason when it was ended because it did not stop.
   */
  async run(job: PooledJob): Promise<string | undefined> {
    const end = await this.#runToEnd(job);
    if (end.kind === 'returned') return end.resultJson;
    if (end.kind === 'threw') throw end.error;
    const { jobId, abort } = job.delivery;
    if (end.kind === 'killed') throw abort.reason;
    const whose = `Job "${jobId}" of task ${this.#name}`;
    throw new PoolCrashedError(
      `${whose} ended its ${this.#settings.kind}, which ${end.how}. No other job was affected.`,
    );
  }

  async #runToEnd(job: PooledJob): Promise<UnitEnd> {
    try {
      return await this.#tryUnits(() => this.#runOnce(job));
    } catch (error) {
      throw job.delivery.abort.aborted || error instanceof IsletError ? error : internalError(error);
    }
  }

  /** Ends all threads and processes. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    for (const unit of this.#units) this.#retire(unit);
    await Promise.all(this.#leaving);
  }

  /** Uses one unit after the other, until one is not ended by others before the code of the job has started there. */
  async #tryUnits<T extends UnitEnd | undefined>(use: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        const end = await use();
        const isLost = end?.kind === 'crashed' && !end.started;
        if (!isLost || tries === mostLost) return end;
      } catch (error) {
        if (!this.#losses.has(error as Error) || tries === mostLost) throw error;
      }
    }
  }

  #start(): UnitHandle {
    const startFailed = ({ how, byOthers }: UnitDeath) => {
      const where = `Task ${this.#name}, ${this.#source.file}`;
      const seen = `${where}: the ${this.#settings.kind} that was to load it ${how}.`;
      const error = new IsletError('E_TASK_LOAD_FAILED', seen);
      if (byOthers) this.#losses.add(error);
      return error;
    };
    return new UnitHandle(this.#host, this.#order, startFailed);
  }

  async #startUnit(): Promise<UnitHandle> {
    let unit: UnitHandle;
    try {
      unit = this.#start();
    } catch (error) {
      // The system refuses a new thread or process for now. Without a unit, nothing would wake the jobs that wait, so
      // the next one tries again.
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
  #retire(unit: UnitHandle): void {
    this.#leave(unit);
    const closing = unit.close().finally(() => this.#leaving.delete(closing));
    this.#leaving.add(closing);
  }

  #nextInLine(): Deferred<UnitHandle> | undefined {
    const [next] = this.#waiting;
    if (next) this.#waiting.delete(next);
    return next;
  }

  /** Waits for a unit, and no longer when the job is aborted meanwhile: the next job gets the unit then. */
  async #acquire(abort: JobAbort): Promise<UnitHandle> {
    abort.throwIfAborted();
    const rested = [...this.#idle.keys()].at(-1);
    if (rested) {
      this.#endRest(rested);
      return rested;
    }
    const turn = defer<UnitHandle>();
    if (this.#units.size < this.size) turn.resolve(this.#startUnit());
    else this.#waiting.add(turn);
    const aborted = defer<never>();
    const stopListening = abort.onAbort(() => aborted.reject(abort.reason));
    try {
      return await Promise.race([turn.promise, aborted.promise]);
    } catch (error) {
      this.#waiting.delete(turn);
      const giveBack = (unit: UnitHandle) => this.#giveBack(unit);
      turn.promise.then(giveBack, () => {});
      throw error;
    } finally {
      stopListening();
    }
  }

  #endRest(unit: UnitHandle): void {
    clearTimeout(this.#idle.get(unit));
    this.#idle.delete(unit);
  }

  #giveBack(unit: UnitHandle) {
    if (!this.#units.has(unit)) return;
    if (!unit.usable) return this.#retire(unit);
    const next = this.#nextInLine();
    if (next) return next.resolve(unit);
    const { idleTimeoutMs } = this.#settings;
    if (idleTimeoutMs === 0 || this.#closed) return this.#retire(unit);
    const timer = setTimeout(() => this.#retire(unit), idleTimeoutMs);
    this.#idle.set(unit, timer);
  }

  async #runOnce(job: PooledJob): Promise<UnitEnd> {
    const unit = await this.#acquire(job.delivery.abort);
    job.onBegin();
    const startedAt = performance.now();
    try {
      return await unit.run(job);
    } finally {
      this.#meanMs += (performance.now() - startedAt - this.#meanMs) * newest;
      this.#giveBack(unit);
    }
  }

  #refuseMemory(memoryMb: number): IsletError {
    const { kind, maxMemoryMb } = this.#settings;
    const takes = `an idle ${kind} of it takes ${Math.round(memoryMb)} MB`;
    const seen = `Task ${this.#name} has \`pool.maxMemoryMb\` ${maxMemoryMb}, but ${takes}`;
    const advice = `Give it more than ${Math.ceil(memoryMb / replaceShare)}, with room for its jobs.`;
    return new IsletError('E_POOL_MEMORY_LOW', `${seen}: it would be replaced after each job. ${advice}`);
  }
}
