import { AsyncLocalStorage } from 'node:async_hooks';
import type { Delivery, Failure, Outcome } from '../broker/broker.ts';
import { IsletError, ReleasedError, TimeoutError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { type ChildJobs, createEnqueue } from './enqueue-port.ts';
import { executeTask } from './execute-task.ts';
import type { LoadableTask, LoadedQueue } from './load-queue.ts';
import { classify, completed } from './outcome.ts';
import { createProgress } from './progress.ts';
import type { TaskContext } from './task-context.ts';

/** What jobs of one queue run in. */
export interface RunScope {
  queue: LoadedQueue;
  log: Log;
  children: ChildJobs;
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

function findTask({ task, queue }: Delivery, loaded: LoadedQueue): LoadableTask {
  const found = loaded.tasks.get(task);
  if (found) return found;
  const message = `Queue "${queue}" has no task "${task}".${didYouMean(task, loaded.tasks.keys())}`;
  throw new IsletError('E_TASK_UNKNOWN', message);
}

/** Fields that a manifest redacts are hidden in the task's own log lines too, at the top and one level down. */
function createJobLog({ queue, task, jobId, attempt }: Delivery, { redact }: AnyTask, log: Log): Log {
  const paths = redact.flatMap((field) => [`["${field}"]`, `*["${field}"]`]);
  return log.child({ queue, task, jobId, attempt }, paths.length > 0 ? { redact: paths } : {});
}

function createContext(
  delivery: Delivery,
  manifest: AnyTask,
  scope: RunScope,
): Omit<TaskContext, 'deps'> & { flush(): Promise<void> } {
  const { jobId, attempt } = delivery;
  const progress = createProgress((value) => delivery.reportProgress(value));
  let log: Log | undefined;
  return {
    signal: delivery.abort.signal,
    attempt,
    jobId,
    progress: progress.report,
    // Ids are unique in a queue only, and BullMQ's own start at 1 again when a queue was emptied.
    enqueue: createEnqueue(`${delivery.queue}\n${jobId}\n${delivery.enqueuedAt}`, scope.children),
    flush: progress.flush,
    get log() {
      log ??= createJobLog(delivery, manifest, scope.log);
      return log;
    },
  };
}

/** Settles when the work does, when it is failed from outside, or when its signal aborted and its grace is over. */
async function untilSettled<T>(delivery: Delivery, abandonAfterMs: number, work: () => Promise<T>): Promise<T> {
  const { signal } = delivery.abort;
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  let over = false;
  const settled = new Promise<T>((resolve, reject) => {
    onAbort = () => {
      // A worker that stops ends its process: nothing of this job's code outlives its release for long.
      const graceMs = signal.reason instanceof ReleasedError ? releaseGraceMs : abandonAfterMs;
      timer = setTimeout(() => reject(signal.reason), Math.min(graceMs, abandonAfterMs));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const fail = (error: unknown) => {
      if (over) return false;
      reject(error);
      // Its code may still run, in a callback that nobody awaits: tell it to stop.
      delivery.abort.abort(error);
      return true;
    };
    currentJob.run({ delivery, fail }, () => work().then(resolve, reject));
  });
  try {
    return await settled;
  } finally {
    over = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

async function attemptTask(delivery: Delivery, task: LoadableTask, scope: RunScope): Promise<unknown> {
  const { timeoutMs, abandonAfterMs, name } = task.manifest;
  const context = createContext(delivery, task.manifest, scope);
  const timer = setTimeout(() => delivery.abort.abort(new TimeoutError(name, timeoutMs)), timeoutMs);
  try {
    const execution = { input: delivery.input, openScope: () => scope.queue.container.createScope(), context };
    return await untilSettled(delivery, abandonAfterMs, () => executeTask(task, execution));
  } finally {
    clearTimeout(timer);
    await context.flush();
  }
}

/** Runs one job to exactly one outcome. It knows no broker and never throws. */
export async function runJob(delivery: Delivery, scope: RunScope): Promise<Outcome> {
  const startedAt = performance.now();
  let task: LoadableTask | undefined;
  let outcome: Outcome;
  try {
    task = findTask(delivery, scope.queue);
    outcome = completed(delivery, task.manifest, await attemptTask(delivery, task, scope));
  } catch (error) {
    outcome = classify(delivery, task?.manifest, error);
  }
  logOutcome(delivery, outcome, performance.now() - startedAt, scope.log);
  return outcome;
}

function logOutcome(delivery: Delivery, outcome: Outcome, durationMs: number, log: Log): void {
  const { queue, task, jobId, attempt } = delivery;
  const fields = { queue, task, jobId, attempt, durationMs: Math.round(durationMs), outcome: outcome.kind };
  log.info('failure' in outcome ? { ...fields, ...describeFailure(outcome.failure) } : fields, 'Job finished');
}

function describeFailure({ code, causeName, causeMessage }: Failure): { code: string; error: string } {
  return { code, error: `${causeName}: ${causeMessage}` };
}
