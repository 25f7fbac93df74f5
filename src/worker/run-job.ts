import { AsyncLocalStorage } from 'node:async_hooks';
import type { Delivery, Failure, Outcome } from '../broker/broker.ts';
import { LockLostError, ReleasedError, TimeoutError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { Clock } from './clock.ts';
import { identify, JobContext } from './create-context.ts';
import { type Decision, decide } from './decide.ts';
import type { ChildJobs } from './enqueue-port.ts';
import { executeTask } from './execute-task.ts';
import type { Ended, JobHooks } from './job-hooks.ts';
import type { WorkerLimits } from './limits.ts';
import type { LoadableTask, LoadedQueue } from './load-queue.ts';
import { type AttemptState, classify, completed, completedAs } from './outcome.ts';
import type { Pool } from './pool.ts';

/** Lets jobs run with no other one beside them. */
export interface Gate {
  /** Resolves with true when the job runs alone in this process, with false when another one already does. */
  enter(delivery: Delivery): Promise<boolean>;
  /** Called once after each `enter` that resolved with true. */
  leave(delivery: Delivery): Promise<void>;
}

/** What jobs of one queue run in. */
export interface RunScope {
  queue: LoadedQueue;
  log: Log;
  children: ChildJobs;
  limits: WorkerLimits;
  gate: Gate;
  clock: Clock;
  hooks?: JobHooks;
  /** A job was settled without its code, which ignored its signal; the promise resolves when that ends at last. */
  onAbandoned(stillRuns: Promise<void>): void;
}

/** A job that runs now, and how to end it from outside its promise. */
export interface RunningJob {
  readonly delivery: Delivery;
  /** Returns false when the job had ended already. */
  fail(error: unknown): boolean;
}

/** What running code has to stop by itself when its job is given back, in milliseconds. */
const releaseGraceMs = 1_000;

/** Names the job whose code is running, also in stray callbacks and rejections. */
export const currentJob = new AsyncLocalStorage<RunningJob>();

/** Returns `{"queue","task","jobId","attempt"}` of the job whose code is running, as JSON. */
export function describeCurrentJob(): string | undefined {
  const job = currentJob.getStore();
  return job && JSON.stringify(identify(job.delivery));
}

/** Runs one job to exactly one outcome. It knows no broker and never throws. */
export async function runJob(delivery: Delivery, scope: RunScope): Promise<Outcome> {
  const startedAt = performance.now();
  const decision = decide(delivery, scope.queue.tasks, scope.limits, scope.clock.now());
  const { outcome } = decision.kind === 'end' ? decision : await runTaken(delivery, decision, scope);
  // There may be thousands of them, again and again.
  if (decision.kind === 'end' && outcome.kind === 'snoozed') logWait(delivery, outcome.delayMs, scope.log);
  else logOutcome(delivery, outcome, performance.now() - startedAt, scope.log);
  return outcome;
}

function runTaken(
  delivery: Delivery,
  { task, alone }: Extract<Decision, { kind: 'run' }>,
  scope: RunScope,
): Promise<Ended> {
  const end = () => endAttempt(delivery, task, scope);
  const around = scope.hooks?.around;
  // Hooks are outside the attempt: it does not time out by what they take, nor is it given back after its end.
  const run = around ? () => around(delivery, task.manifest, end) : end;
  return alone ? runAlone(delivery, scope.gate, run) : run();
}

async function runAlone(delivery: Delivery, gate: Gate, run: () => Promise<Ended>): Promise<Ended> {
  if (!(await gate.enter(delivery))) return { outcome: { kind: 'released', counted: false } };
  try {
    return await run();
  } finally {
    await gate.leave(delivery);
  }
}

async function endAttempt(delivery: Delivery, task: LoadableTask, scope: RunScope): Promise<Ended> {
  const state: AttemptState = { started: false, limits: scope.limits };
  const { manifest, pool } = task;
  try {
    const outcome = pool
      ? completedAs(delivery, manifest, await attemptInPool(delivery, task.manifest, pool, scope, state))
      : completed(delivery, manifest, await attemptTask(delivery, task, scope, state));
    return { outcome, error: delivery.abort.reason };
  } catch (error) {
    return { outcome: classify(delivery, manifest, error, state), error };
  }
}

/** The time that an attempt may take, and the last step before the task's code. */
function prepareAttempt(delivery: Delivery, manifest: AnyTask, scope: RunScope, state: AttemptState) {
  const { abort } = delivery;
  const { name, timeoutMs } = manifest;
  let stopTimer = () => {};
  const startTimer = () => {
    stopTimer();
    stopTimer = scope.clock.startTimer(timeoutMs, () => abort.abort(new TimeoutError(name, timeoutMs)));
  };
  const begin = () => {
    // It was settled meanwhile: its code would run beside the next delivery's.
    abort.throwIfAborted();
    state.started = true;
  };
  const passThenBegin = async () => {
    // Redis may be away: a job that has not started must not fail for good by that.
    stopTimer();
    state.started = await passFence(delivery);
    abort.throwIfAborted();
    startTimer();
    begin();
  };
  const beforeRun = manifest.delivery === 'at-most-once' ? passThenBegin : begin;
  return { startTimer, stopTimer: () => stopTimer(), beforeRun };
}

async function attemptTask(delivery: Delivery, task: LoadableTask, scope: RunScope, state: AttemptState) {
  const { input } = delivery;
  const { manifest } = task;
  const { log, children, queue } = scope;
  const context = new JobContext(delivery, manifest, { log, children, openScope: queue.openScope });
  const { startTimer, stopTimer, beforeRun } = prepareAttempt(delivery, manifest, scope, state);
  startTimer();
  try {
    const execute = () => executeTask(task, { input, context, beforeRun });
    return await untilSettled(delivery, manifest.abandonAfterMs, scope, execute);
  } finally {
    stopTimer();
    const flushing = context.flush();
    if (flushing) await flushing;
  }
}

/** Runs a task's code in its pool; it needs nobody to leave it behind, since it is ended when it does not stop. */
async function attemptInPool(
  delivery: Delivery,
  manifest: AnyTask,
  pool: Pool,
  scope: RunScope,
  state: AttemptState,
): Promise<string | undefined> {
  const { task, jobId, input, attempt, enqueuedAt, abort } = delivery;
  const { startTimer, stopTimer, beforeRun } = prepareAttempt(delivery, manifest, scope, state);
  let reported: Promise<void> = Promise.resolve();
  try {
    return await pool.run(
      { task, jobId, input, attempt, enqueuedAt },
      {
        signal: abort.signal,
        graceMs: (reason) => graceMsFor(reason, manifest.abandonAfterMs),
        onBegin: startTimer,
        beforeRun: async () => beforeRun(),
        send: (jobs) => scope.children.send(jobs),
        progress(value) {
          // A courtesy, as in this thread.
          reported = delivery.reportProgress(value).catch(() => {});
        },
      },
    );
  } finally {
    stopTimer();
    await reported;
  }
}

/** A worker that stops ends its process: nothing of this job's code outlives its release for long. */
function graceMsFor(reason: unknown, abandonAfterMs: number): number {
  return reason instanceof ReleasedError ? Math.min(releaseGraceMs, abandonAfterMs) : abandonAfterMs;
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

/** Settles when the work does, when it is failed from outside, or when its signal aborted and its grace is over. */
async function untilSettled<T>(
  delivery: Delivery,
  abandonAfterMs: number,
  scope: RunScope,
  start: () => Promise<T>,
): Promise<T> {
  const { abort } = delivery;
  let stopTimer = () => {};
  let stopListening = () => {};
  let over = false;
  const settled = new Promise<T>((resolve, reject) => {
    const fail = (error: unknown) => {
      if (over) return false;
      reject(error);
      // Its code may still run, in a callback that nobody awaits: tell it to stop.
      abort.abort(error);
      return true;
    };
    const work = currentJob.run({ delivery, fail }, start);
    work.then(resolve, reject);
    stopListening = abort.onAbort(() => {
      // The code that was told to stop gets its turn first, also after a block.
      stopTimer = scope.clock.startTimer(graceMsFor(abort.reason, abandonAfterMs), () => {
        leaveBehind(delivery, work, scope);
        reject(abort.reason);
      });
    });
  });
  try {
    return await settled;
  } finally {
    over = true;
    stopTimer();
    stopListening();
  }
}

/** Counts code that ignored its signal, and says when it ends at last: its result is dropped. */
function leaveBehind(delivery: Delivery, work: Promise<unknown>, { log, onAbandoned }: RunScope): void {
  const leftAt = performance.now();
  const logLate = () =>
    log.info({ ...identify(delivery), lateMs: Math.round(performance.now() - leftAt) }, 'Late result dropped');
  const stillRuns = work.then(logLate, logLate);
  // A worker that stops need not be replaced.
  if (!(delivery.abort.reason instanceof ReleasedError)) onAbandoned(stillRuns);
}

function logWait(delivery: Delivery, delayMs: number, log: Log): void {
  log.debug({ ...identify(delivery), delayMs }, 'Its pool is full: the job waits in Redis');
}

function logOutcome(delivery: Delivery, outcome: Outcome, durationMs: number, log: Log): void {
  const { queue, task, jobId, attempt } = delivery;
  const fields = { queue, task, jobId, attempt, durationMs: Math.round(durationMs), outcome: outcome.kind };
  log.info('failure' in outcome ? { ...fields, ...describeFailure(outcome.failure) } : fields, 'Job finished');
}

function describeFailure({ code, causeName, causeMessage }: Failure): { code: string; error: string } {
  return { code, error: `${causeName}: ${causeMessage}` };
}
