import type { Crash, Delivery, Outcome } from '../broker/broker.ts';
import { CancelledError, IsletError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import type { WorkerLimits } from './limits.ts';
import type { LoadableTask } from './load-queue.ts';
import { cancelled, describeJob, failed, interrupted } from './outcome.ts';

/** `alone`: with no other job beside it in this process. */
export type Decision = { kind: 'run'; task: LoadableTask; alone: boolean } | { kind: 'end'; outcome: Outcome };

/** One crash may have been any of the jobs that ran; the second makes a job a suspect. */
const suspectCrashes = 2;

/** How long a job waits for a worker that knows it: half of what it has waited already, within these milliseconds. */
const postponeMs = { least: 1_000, most: 15_000 };

function isNewer({ version }: Delivery, manifest: AnyTask): boolean {
  return version !== undefined && version > manifest.version;
}

function unknownTask(delivery: Delivery, task: LoadableTask | undefined, known: Iterable<string>, since: number) {
  const { queue, task: name, jobId, version } = delivery;
  const waited = `Job "${jobId}" has waited since ${new Date(since).toISOString()} for a worker that knows it.`;
  const problem = task
    ? `Task "${name}" (queue "${queue}") has version ${task.manifest.version} in this worker, the job needs version ${version}.`
    : `Queue "${queue}" has no task "${name}".${didYouMean(name, known)}`;
  const advice = task
    ? 'Deploy newer workers, then retry the job.'
    : 'Deploy workers that have it, or keep its old name in `formerNames`.';
  return new IsletError('E_TASK_UNKNOWN', `${problem} ${waited} ${advice}`);
}

/** Waits for a deploy that brings the task, or its newer version, but not for ever. */
function postpone(
  delivery: Delivery,
  tasks: ReadonlyMap<string, LoadableTask>,
  deadlineMs: number,
  nowMs: number,
): Outcome {
  const since = delivery.memory.unknownSince ?? nowMs;
  const leftMs = since + deadlineMs - nowMs;
  const task = tasks.get(delivery.task);
  if (leftMs <= 0) return failed(delivery, task?.manifest, unknownTask(delivery, task, tasks.keys(), since));
  const growingMs = Math.max(postponeMs.least, Math.min(postponeMs.most, Math.round((nowMs - since) / 2)));
  return { kind: 'postponed', unknownSince: since, delayMs: Math.min(growingMs, leftMs) };
}

/** Then nobody else was harmed. */
const isOfUnit = ({ blame }: Crash) => blame === 'unit';

function poisoned(delivery: Delivery, crashes: readonly Crash[]): IsletError {
  const history = crashes.map(({ at, worker, blame }) => `${new Date(at).toISOString()} (worker ${worker}, ${blame})`);
  const what = crashes.every(isOfUnit) ? 'ended its thread or process' : 'ran when its worker died';
  const seen = `${describeJob(delivery)} ${what}, ${crashes.length} times: ${history.join('; ')}.`;
  return new IsletError(
    'E_POISONED',
    `${seen} It is not run again. Look for what ends the process, then retry the job.`,
  );
}

const end = (outcome: Outcome): Decision => ({ kind: 'end', outcome });

/** Decides from what Islet remembers of a job whether it runs now, or how it ends without having run. */
export function decide(
  delivery: Delivery,
  tasks: ReadonlyMap<string, LoadableTask>,
  limits: WorkerLimits,
  nowMs: number,
): Decision {
  const { memory, jobId } = delivery;
  const task = tasks.get(delivery.task);
  if (memory.cancel !== undefined) {
    return end(cancelled(delivery, task?.manifest, new CancelledError(jobId, memory.cancel)));
  }
  if (!task || isNewer(delivery, task.manifest)) {
    return end(postpone(delivery, tasks, limits.unknownTaskDeadlineMs, nowMs));
  }
  if (task.manifest.delivery === 'at-most-once' && memory.started !== undefined) {
    return end(interrupted(delivery, task.manifest));
  }
  const crashes = memory.crashes.filter(({ at }) => nowMs - at <= limits.windowMs);
  if (crashes.length >= limits.maxCrashes) return end(failed(delivery, task.manifest, poisoned(delivery, crashes)));
  // No attempt, and nothing that is counted: it comes back when its pool may have room.
  if (task.pool?.isFull) return end({ kind: 'snoozed', delayMs: task.pool.waitMs() });
  return { kind: 'run', task, alone: crashes.filter((crash) => !isOfUnit(crash)).length >= suspectCrashes };
}
