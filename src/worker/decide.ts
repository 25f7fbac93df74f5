import type { Crash, Delivery, Outcome } from '../broker/broker.ts';
import { CancelledError, IsletError } from '../errors.ts';
import type { WorkerLimits } from '../manifest/defaults.ts';
import type { LoadableTask, LoadedQueue } from './load-queue.ts';
import { cancelled, describeJob, failed, interrupted } from './outcome.ts';
import { findRetryProblem } from './retries.ts';
import { tellUnknown } from './unknown-tasks.ts';

/** What a worker does with a delivery; an outcome ends it without a run. */
export type Decision =
  /** `alone`: with no other job beside it in this process. */
  | { kind: 'run'; task: LoadableTask; alone: boolean }
  /** The task's pool is full. The job comes back when there may be room, at no attempt. */
  | { kind: 'wait'; delayMs: number }
  | Outcome;

/** The first crash may have been the fault of any job that ran; a second one makes a job a suspect. */
const suspectCrashes = 2;

/** How long a job waits for a worker that knows it: half of what it has waited already, within these milliseconds. */
const postponeMs = { least: 1_000, most: 15_000 };

/** Decides from what Islet remembers of a job whether it runs now, or how it ends without having run. */
export function decide(delivery: Delivery, tasks: LoadedQueue['tasks'], limits: WorkerLimits, nowMs: number): Decision {
  const { memory, jobId, version } = delivery;
  const task = tasks.get(delivery.task);
  if (memory.cancel !== undefined) return cancelled(delivery, task?.manifest, new CancelledError(jobId, memory.cancel));
  if (!task || (version !== undefined && version > task.manifest.version)) {
    return postpone(delivery, tasks, limits.unknownTaskDeadlineMs, nowMs);
  }
  const problem = findRetryProblem(delivery, task.manifest);
  if (problem) return unrun(delivery, task, problem);
  if (task.manifest.delivery === 'at-most-once' && memory.started !== undefined) {
    if (delivery.wasPutBack) return failed(delivery, task.manifest, retryRefused(delivery));
    return interrupted(delivery, task.manifest);
  }
  const crashes = memory.crashes.filter(({ at }) => nowMs - at <= limits.windowMs);
  if (crashes.length >= limits.maxCrashes) return failed(delivery, task.manifest, poisoned(delivery, crashes));
  const delayMs = task.pool?.waitMs();
  if (delayMs !== undefined) return { kind: 'wait', delayMs };
  return { kind: 'run', task, alone: crashes.filter((crash) => !harmedOnlyItself(crash)).length >= suspectCrashes };
}

/** Fails a job that no worker can run as it is. */
function unrun(delivery: Delivery, task: LoadableTask | undefined, error: IsletError): Outcome {
  return { ...failed(delivery, task?.manifest, error), unrun: true };
}

/** Lets a job wait for a deploy that brings its task, or the task's newer version, but not for ever. */
function postpone(delivery: Delivery, tasks: LoadedQueue['tasks'], deadlineMs: number, nowMs: number): Outcome {
  const since = delivery.memory.unknownSince ?? nowMs;
  const leftMs = since + deadlineMs - nowMs;
  const task = tasks.get(delivery.task);
  if (leftMs <= 0) return unrun(delivery, task, unknownTask(delivery, task, tasks, since));
  const growingMs = Math.max(postponeMs.least, Math.min(postponeMs.most, Math.round((nowMs - since) / 2)));
  return { kind: 'postponed', unknownSince: since, delayMs: Math.min(growingMs, leftMs) };
}

function unknownTask(delivery: Delivery, task: LoadableTask | undefined, tasks: LoadedQueue['tasks'], since: number) {
  const { queue, task: name, jobId, version } = delivery;
  const waited = `Job "${jobId}" has waited since ${new Date(since).toISOString()} for a worker that knows it.`;
  const problem = task
    ? `Task "${name}" (queue "${queue}") has version ${task.manifest.version} in this worker, but the job needs version ${version}.`
    : tellUnknown(delivery, tasks);
  const cure = task
    ? 'newer workers, then retry the job.'
    : 'workers that have it, or keep its old name in `formerNames`.';
  return new IsletError('E_TASK_UNKNOWN', `${problem} ${waited} Deploy ${cure}`);
}

/** A tool of BullMQ's cannot know that the job must not start twice, and nobody was asked. */
function retryRefused(delivery: Delivery): IsletError {
  const seen = `${describeJob(delivery)} was put back after its end, and its code has started before.`;
  const { jobId, queue } = delivery;
  const advice = `Check what it has done, then let it run once more with \`islet jobs retry ${jobId} --queue ${queue} --yes\`.`;
  return new IsletError('E_RETRY_REFUSED', `${seen} It is at-most-once, so it is not run again. ${advice}`);
}

const harmedOnlyItself = ({ blame }: Crash) => blame === 'unit';

function poisoned(delivery: Delivery, crashes: readonly Crash[]): IsletError {
  const history = crashes.map(({ at, worker, blame }) => `${new Date(at).toISOString()} (worker ${worker}, ${blame})`);
  const what = crashes.every(harmedOnlyItself) ? 'ended its thread or process' : 'ran when its worker died';
  const seen = `${describeJob(delivery)} ${what}, ${crashes.length} times: ${history.join('; ')}.`;
  const advice = 'It is not run again. Look for what ends the process, then retry the job.';
  return new IsletError('E_POISONED', `${seen} ${advice}`);
}
