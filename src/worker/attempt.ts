import { AsyncLocalStorage } from 'node:async_hooks';
import type { Delivery } from '../broker/broker.ts';
import { LockLostError, ReleasedError, TimeoutError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { Clock } from './clock.ts';
import { identify, JobContext } from './create-context.ts';
import type { ChildJobs } from './enqueue-port.ts';
import { executeTask } from './execute-task.ts';
import type { WorkerLimits } from './limits.ts';
import type { LoadableTask, LoadedQueue } from './load-queue.ts';
import type { AttemptState } from './outcome.ts';
import type { Pool } from './pool.ts';

/** What the attempts of one queue's jobs run in. */
export interface AttemptScope {
  queue: LoadedQueue;
  log: Log;
  children: ChildJobs;
  limits: WorkerLimits;
  clock: Clock;
  /** A job's code has run, as far as it is waited for, and its outcome is about to be written. */
  onEnded?(): void;
  /** A job was settled without its code, which ignored its signal; the promise resolves when that ends at last. */
  onAbandoned(stillRuns: Promise<void>): void;
}

/** What running code has to stop by itself when its job is given back, in milliseconds. */
const releaseGraceMs = 1_000;

/** Names the attempt whose code is running, also in stray callbacks and rejections. */
export const currentJob = new AsyncLocalStorage<Pick<Attempt, 'delivery' | 'fail'>>();

/** Returns `{"queue","task","jobId","attempt"}` of the job whose code is running, as JSON. */
export function describeCurrentJob(): string | undefined {
  const job = currentJob.getStore();
  return job && JSON.stringify(identify(job.delivery));
}

/**
 * One run of one job's code: the time that it may take, the last step before it, and how it is ended from outside. A class,
 * since there are thousands a second: functions made anew for each job took 8 % of a built worker's time.
 */
export class Attempt implements AttemptState {
  readonly delivery: Delivery;
  readonly limits: WorkerLimits;
  started = false;
  readonly #manifest: AnyTask;
  readonly #scope: AttemptScope;
  #context: JobContext | undefined;
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

  /** Ends it with an error that its code let escape. Returns false when it has no code in this thread, or that had ended. */
  fail(error: unknown): boolean {
    if (this.#over || !this.#reject) return false;
    this.#reject(error);
    // Its code may still run, in a callback that nobody awaits: tell it to stop.
    this.delivery.abort.abort(error);
    return true;
  }

  /** Runs the task's code in this thread. Rejects with what it threw, or why it was ended. */
  run(task: LoadableTask): Promise<unknown> {
    const { log, children, queue } = this.#scope;
    const { input, abort } = this.delivery;
    const context = new JobContext(this.delivery, this.#manifest, { log, children, openScope: queue.openScope });
    this.#context = context;
    this.#startTimer();
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      const work = currentJob.run(this, executeTask, task, { input, context, attempt: this });
      work.then(resolve, reject);
      this.#stopListening = abort.onAbort(() => this.#startGrace(work));
    });
  }

  /** Runs it in its pool; it needs nobody to leave it behind, since it is ended when it does not stop. */
  async runInPool(pool: Pool): Promise<string | undefined> {
    const { task, jobId, input, attempt, enqueuedAt, abort } = this.delivery;
    let reported: Promise<void> = Promise.resolve();
    try {
      return await pool.run(
        { task, jobId, input, attempt, enqueuedAt },
        {
          signal: abort.signal,
          graceMs: (reason) => this.#graceMsFor(reason),
          onBegin: () => this.#startTimer(),
          beforeRun: async () => this.beforeRun(),
          send: (jobs) => this.#scope.children.send(jobs),
          progress: (value) => {
            // A courtesy, as in this thread.
            reported = this.delivery.reportProgress(value).catch(() => {});
          },
        },
      );
    } finally {
      this.#stopTimer?.();
      await reported;
    }
  }

  /** The last step before its code, here or in its pool. Throws when it must not start. */
  beforeRun(): void | Promise<void> {
    return this.#manifest.delivery === 'at-most-once' ? this.#passThenBegin() : this.#begin();
  }

  #startTimer(): void {
    const { name, timeoutMs } = this.#manifest;
    this.#stopTimer?.();
    this.#stopTimer = this.#scope.clock.startTimer(timeoutMs, () =>
      this.delivery.abort.abort(new TimeoutError(name, timeoutMs)),
    );
  }

  #begin(): void {
    // It was settled meanwhile: its code would run beside the next delivery's.
    this.delivery.abort.throwIfAborted();
    this.started = true;
  }

  async #passThenBegin(): Promise<void> {
    // Redis may be away: a job that has not started must not fail for good by that.
    this.#stopTimer?.();
    this.started = await passFence(this.delivery);
    this.delivery.abort.throwIfAborted();
    this.#startTimer();
    this.#begin();
  }

  /** Ends what an attempt needs while its code runs; a promise where its last progress is still to be written. */
  close(): Promise<void> | undefined {
    this.#over = true;
    this.#stopTimer?.();
    this.#stopGrace?.();
    this.#stopListening?.();
    return this.#context?.flush();
  }

  #startGrace(work: Promise<unknown>): void {
    const { reason } = this.delivery.abort;
    // The code that was told to stop gets its turn first, also after a block.
    this.#stopGrace = this.#scope.clock.startTimer(this.#graceMsFor(reason), () => {
      this.#leaveBehind(work);
      this.#reject?.(reason);
    });
  }

  /** A worker that stops ends its process: nothing of this job's code outlives its release for long. */
  #graceMsFor(reason: unknown): number {
    const { abandonAfterMs } = this.#manifest;
    return reason instanceof ReleasedError ? Math.min(releaseGraceMs, abandonAfterMs) : abandonAfterMs;
  }

  /** Counts code that ignored its signal, and says when it ends at last: its result is dropped. */
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

/** Returns whether an at-most-once job may start; if not, its signal has been aborted with the reason. */
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
