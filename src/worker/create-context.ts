import type { Delivery, EndedJob } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { type ChildJobs, createEnqueue } from './enqueue-port.ts';
import { createProgress } from './progress.ts';
import { type TaskContext, verdicts } from './task-context.ts';

/** The fields by which a job is known in every log line about it. */
export function identify({ queue, task, jobId, attempt }: Omit<EndedJob, 'input'>) {
  return { queue, task, jobId, attempt };
}

/** Fields that a manifest redacts are hidden in the task's own log lines too, at the top and one level down. */
function createJobLog(delivery: Delivered, { redact }: AnyTask, log: Log): Log {
  const paths = redact.flatMap((field) => [`["${field}"]`, `*["${field}"]`]);
  return log.child(identify(delivery), paths.length > 0 ? { redact: paths } : {});
}

/** What a context is made of; a thread or process of a pool has no more of a delivery. */
export type Delivered = Pick<Delivery, 'queue' | 'task' | 'jobId' | 'attempt' | 'enqueuedAt' | 'reportProgress'> & {
  abort: Pick<AbortController, 'signal'>;
};

/** Creates what a task is given, but for its dependencies; `flush` sends its last progress. */
export function createContext(
  delivery: Delivered,
  manifest: AnyTask,
  scope: { log: Log; children: ChildJobs },
): Omit<TaskContext, 'deps'> & { flush(): Promise<void> } {
  const { jobId, attempt } = delivery;
  const progress = createProgress((value) => delivery.reportProgress(value));
  let log: Log | undefined;
  return {
    ...verdicts,
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
