import { AsyncLocalStorage } from 'node:async_hooks';
import type { Delivery, NewJob } from '../broker/broker.ts';
import { LockLostError, ReleasedError, TimeoutError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { WorkerLimits } from '../manifest/defaults.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { Clock } from './clock.ts';
import { executeTask } from './execute-task.ts';
import { type ChildJobs, identify, JobContext } from './job-context.ts';
import type { LoadableTask, LoadedQueue } from './load-queue.ts';
import type { AttemptState } from './outcome.ts';
import type { PoolCalls } from './pool-job.ts';
import type { UnitPool } from './pools/unit-pool.ts';

/** What the attempts of one queue's jobs run in. */
export interface AttemptScope {
  queue: LoadedQueue;
  log: Log;
  children: ChildJobs;
  limits: WorkerLimits;
  clock: Clock;
  /** Called when a job's code has run, as far as anybody waits for it, just before its outcome is written. */
  onEnded?(): void;
  /** Called when a job is settled without its code, which ignores its signal. The promise resolves when the code ends. */
  onAbandoned(stillRuns: Promise<void>): void;
}

/** How long code may take to stop by itself when its job is given back, in milliseconds. */
const releaseGraceMs = 1_000;

/** Holds the attempt whose code is running, also in stray callbacks and rejections. */
export const currentJob = new AsyncLocalStorage<Pick<Attempt, 'delivery' | 'fail'>>();

/** Returns `{"queue","task","jobId","attempt"}` of the job whose code is running, as JSON. */
export function describeCurrentJob(): string | undefined {
  const job = currentJob.getStore();
  return job && JSON.stringify(identify(job.delivery));
}

/**
 * One run of one job's code: the time that it may take, the last step before it, and how it is ended from outside. There
 * are thousands a second: functions made anew for each job would take 8 % of a built worker's time.
 */
export class Attempt implements AttemptState, PoolCalls {
  readonly delivery: Delivery;
  readonly limits: WorkerLimits;
  started = false;
  readonly #manifest: AnyTask;
  readonly #scope: AttemptScope;
  #context: JobContext | undefined;
  #reported: Promise<void> | undefined;
  #over = false;
  #stopTimer: (() => void) | undefined;
  #stopGrace: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(delivery: Delivery, manifest: AnyTask, scope: AttemptScope) {
    this.delivery = delivery;
    this.limits = scope.limits;
    this.#manifest = manifest;
    this.#scope = scope;
  }

  /** Ends the attempt with an error that its code let escape. Returns false when no code of it runs in this thread. */
  fail(error: unknown): boolean {
    if (this.#over || !this.#reject) return false;
    this.#reject(error);
    // The code may still run, in a callback that nobody awaits: the signal tells it to stop.
    this.delivery.abort.abort(error);
    return true;
  }

  /** Runs the task's code in this thread. Rejects with what it threw, or with why it was ended. */
  run(task: LoadableTask): Promise<unknown> {
    const { log, children, queue } = this.#scope;
    const { input, abort } = this.delivery;
    const context = new JobContext(this.delivery, this.#manifest, { log, children, openScope: queue.openScope });
    this.#context = context;
    this.onBegin();
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      const work = currentJob.run(this, executeTask, task, { input, context, attempt: this });
      work.then(resolve, reject);
      this.#stopListening = abort.onAbort(() => this.#startGrace(work));
    });
  }

  /** Runs the task's code in its pool, which ends code that does not stop, so that none is left behind. */
  runInPool(pool: UnitPool): Promise<string | undefined> {
    const { task, jobId, input, attempt, enqueuedAt } = this.delivery;
    return pool.run({ task, jobId, input, attempt, enqueuedAt }, this);
  }

  get signal(): AbortSignal {
    return this.delivery.abort.signal;
  }

  onBegin(): void {
    const { name, timeoutMs } = this.#manifest;
    this.#stopTimer?.();
    this.#stopTimer = this.#scope.clock.startTimer(timeoutMs, () =>
      this.delivery.abort.abort(new TimeoutError(name, timeoutMs)),
    );
  }

  send(jobs: NewJob[]): Promise<void> {
    return this.#scope.children.send(jobs);
  }

  progress(value: number | object): void {
    // Progress is a courtesy: a job does not fail because Redis missed one.
    this.#reported = this.delivery.reportProgress(value).catch(() => {});
  }

  graceMs(reason: unknown): number {
    const { abandonAfterMs } = this.#manifest;
    // A worker that stops ends its process, so that no code of a job outlives its release for long.
    return reason instanceof ReleasedError ? Math.min(releaseGraceMs, abandonAfterMs) : abandonAfterMs;
  }

  beforeRun(): void | Promise<void> {
    return this.#manifest.delivery === 'at-most-once' ? this.#passThenBegin() : this.#begin();
  }

  /** Ends the timers and the listener. Returns a promise where the last progress is still to be written. */
  close(): Promise<void> | undefined {
    this.#over = true;
    this.#stopTimer?.();
    this.#stopGrace?.();
    this.#stopListening?.();
    return this.#reported ?? this.#context?.flush();
  }

  #begin(): void {
    // An aborted job is settled soon: its code would run beside the next delivery's.
    this.delivery.abort.throwIfAborted();
    this.started = true;
  }

  async #passThenBegin(): Promise<void> {
    // Redis may be away: a job that has not started must not fail for good by that.
    this.#stopTimer?.();
    this.started = await passFence(this.delivery);
    this.delivery.abort.throwIfAborted();
    this.onBegin();
    this.#begin();
  }

  #startGrace(work: Promise<unknown>): void {
    const { reason } = this.delivery.abort;
    // The code that was told to stop gets its turn first, also after a block.
    this.#stopGrace = this.#scope.clock.startTimer(this.graceMs(reason), () => {
      this.#leaveBehind(work);
      this.#reject?.(reason);
    });
  }

  /** Counts code that ignored its signal, and logs when it ends at last; its result is dropped. */
  #leaveBehind(work: Promise<unknown>): void {
    const { log, onAbandoned } = this.#scope;
    const leftAt = performance.now();
    const logLate = () =>
      log.info({ ...identify(this.delivery), lateMs: Math.round(performance.now() - leftAt) }, 'Late result dropped');
    const stillRuns = work.then(logLate, logLate);
    // A worker that stops need not be replaced.
    if (!(this.delivery.abort.reason instanceof ReleasedError)) onAbandoned(stillRuns);
  }
}

/** Returns whether an at-most-once job may start. If not, its signal has been aborted with the reason. */
async function passFence(delivery: Delivery): Promise<boolean> {
  const { abort, jobId } = delivery;
  abort.throwIfAborted();
  try {
    if (await delivery.markStarted()) return true;
    abort.abort(new LockLostError(jobId));
  } catch {
    // Redis refused the write, and the job has not run: it goes back as it came.
    abort.abort(new ReleasedError(jobId));
  }
  return false;
}
