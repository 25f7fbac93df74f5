import { AsyncLocalStorage } from 'node:async_hooks';
import type { Delivery, NewJob } from '../broker/broker.ts';
import { LockLostError, ReleasedError, TimeoutError } from '../errors.ts';
import type { WorkerLimits } from '../manifest/defaults.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { Clock } from './clock.ts';
import { toFailure } from './describe-error.ts';
import { executeTask } from './execute-task.ts';
import type { Gate } from './gate.ts';
import { type ContextHost, identify, JobContext } from './job-context.ts';
import type { JobHooks } from './job-hooks.ts';
import type { LoadableTask, LoadedQueue } from './load-queue.ts';
import type { PooledJob } from './pools/unit-handle.ts';

/** What jobs of one queue run in. */
export interface RunScope extends ContextHost {
  queue: LoadedQueue;
  limits: WorkerLimits;
  clock: Clock;
  gate: Pick<Gate, 'enter' | 'leave'>;
  hooks?: JobHooks;
  /** Called with a job whose task this worker does not know, or only an older version of it. */
  onPostponed?(delivery: Delivery): void;
  /** Called when a job's code has run, as far as anybody waits for it, just before its outcome is written. */
  onEnded?(): void;
  /** Called when a job is settled without its code, which ignores its signal. The promise resolves when the code ends. */
  onAbandoned(stillRuns: Promise<void>): void;
}

/** How long code may take to stop by itself when its job is given back, in milliseconds. */
const releaseGraceMs = 1_000;

/** Holds the attempt whose code is running, also in stray callbacks and rejections. */
export const currentJob = new AsyncLocalStorage<Pick<Attempt, 'delivery' | 'fail' | 'manifest'>>();

/** Returns `{"queue","task","jobId","attempt"}` of the job whose code is running, as JSON. */
export function describeCurrentJob(): string | undefined {
  const job = currentJob.getStore();
  return job && JSON.stringify(identify(job.delivery));
}

/** Describes an error that escaped, without what the job redacts whose code it was, also if that job has ended. */
export function describeEscaped(error: unknown): string {
  const job = currentJob.getStore();
  const { causeName, causeMessage, stack } = toFailure(error, job?.manifest, job?.delivery);
  return stack || `${causeName}: ${causeMessage}`;
}

/** Fails the job whose code let this error escape, and returns it. Returns nothing when no running job did. */
export function failCurrentJob(error: unknown): Delivery | undefined {
  const job = currentJob.getStore();
  return job?.fail(error) ? job.delivery : undefined;
}

/**
 * One run of one job's code: the time that it may take, the last step before it, and how it is ended from outside. There
 * are thousands a second: functions made anew for each job would take 8 % of a built worker's time.
 */
export class Attempt implements PooledJob {
  readonly delivery: Delivery;
  started = false;
  readonly manifest: AnyTask;
  readonly #scope: RunScope;
  #context: JobContext | undefined;
  #reported: Promise<void> | undefined;
  /** Stops the timer of the time-out, or of the grace after it. */
  #stopTimer: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(delivery: Delivery, manifest: AnyTask, scope: RunScope) {
    this.delivery = delivery;
    this.manifest = manifest;
    this.#scope = scope;
  }

  /** Ends the attempt with an error that its code let escape. Returns false when no code of it runs in this thread. */
  fail(error: unknown): boolean {
    if (!this.#reject) return false;
    this.#reject(error);
    // The code may still run, in a callback that nobody awaits: the signal tells it to stop.
    this.delivery.abort.abort(error);
    return true;
  }

  /** Runs the task's code in this thread. Rejects with what it threw, or with why it was ended. */
  run(task: LoadableTask): Promise<unknown> {
    const { input, abort } = this.delivery;
    const context = new JobContext(this.delivery, this.manifest, this.#scope);
    this.#context = context;
    this.onBegin();
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      const work = currentJob.run(this, executeTask, task, input, context, this);
      work.then(resolve, reject);
      this.#stopListening = abort.onAbort(() => this.#startGrace(work));
    });
  }

  onBegin(): void {
    const { name, timeoutMs } = this.manifest;
    const { abort } = this.delivery;
    this.#stopTimer?.();
    this.#stopTimer = this.#scope.clock.startTimer(timeoutMs, () => abort.abort(new TimeoutError(name, timeoutMs)));
  }

  send(jobs: NewJob[]): Promise<void> {
    return this.#scope.children.send(jobs);
  }

  progress(value: number | object): void {
    // Progress is a courtesy: a job does not fail because Redis missed one.
    this.#reported = this.delivery.reportProgress(value).catch(() => {});
  }

  graceMs(): number {
    const { abandonAfterMs } = this.manifest;
    // A worker that stops ends its process, so that no code of a job outlives its release for long.
    return this.#isReleased ? Math.min(releaseGraceMs, abandonAfterMs) : abandonAfterMs;
  }

  beforeRun(): void | Promise<void> {
    if (this.manifest.delivery === 'at-most-once') return this.#passFence();
    // An aborted job is settled soon: its code would run beside the next delivery's.
    this.delivery.abort.throwIfAborted();
    this.started = true;
  }

  /** Ends the timers and the listener. Returns a promise where the last progress is still to be written. */
  close(): Promise<void> | undefined {
    this.#reject = undefined;
    this.#stopTimer?.();
    this.#stopListening?.();
    return this.#reported ?? this.#context?.flush();
  }

  get #isReleased(): boolean {
    return this.delivery.abort.reason instanceof ReleasedError;
  }

  async #passFence(): Promise<void> {
    const { abort, jobId } = this.delivery;
    abort.throwIfAborted();
    // Redis may be away: a job that has not started must not fail for good by that.
    this.#stopTimer?.();
    try {
      this.started = await this.delivery.markStarted();
      if (!this.started) abort.abort(new LockLostError(jobId));
    } catch {
      // Redis refused the write, and the job has not run: it goes back as it came.
      abort.abort(new ReleasedError(jobId));
    }
    abort.throwIfAborted();
    this.onBegin();
  }

  #startGrace(work: Promise<unknown>): void {
    this.#stopTimer?.();
    // The code that was told to stop gets its turn first, also after a block.
    this.#stopTimer = this.#scope.clock.startTimer(this.graceMs(), () => {
      this.#leaveBehind(work);
      this.#reject?.(this.delivery.abort.reason);
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
    if (!this.#isReleased) onAbandoned(stillRuns);
  }
}
