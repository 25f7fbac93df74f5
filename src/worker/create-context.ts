import type { Delivery, EndedJob } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { type ChildJobs, createEnqueue, type EnqueuePort } from './enqueue-port.ts';
import { createProgress, type Progress } from './progress.ts';
import { type AtLeastOnceContext, verdicts } from './task-context.ts';

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
  abort: Pick<Delivery['abort'], 'signal'>;
};

/** The dependencies of one job; an awilix scope is one. */
export interface Scope {
  readonly cradle: object;
  dispose(): Promise<void>;
}

/** What the contexts of one queue's jobs share. */
export interface ContextHost {
  log: Log;
  children: ChildJobs;
  openScope(): Scope;
}

/**
 * What a task is given. Each part is made when it is touched: a scope takes 15 µs and a signal 10, all else that a worker
 * does for a job about 30. The getters stand on the class, because an object with getters of its own is slow to make.
 */
export class JobContext implements AtLeastOnceContext<object> {
  readonly attempt: number;
  readonly jobId: string;
  readonly snooze = verdicts.snooze;
  readonly rateLimited = verdicts.rateLimited;
  readonly #delivery: Delivered;
  readonly #manifest: AnyTask;
  readonly #host: ContextHost;
  #scope: Scope | undefined;
  #log: Log | undefined;
  #progress: Progress | undefined;
  #enqueue: EnqueuePort['enqueue'] | undefined;

  constructor(delivery: Delivered, manifest: AnyTask, host: ContextHost) {
    this.attempt = delivery.attempt;
    this.jobId = delivery.jobId;
    this.#delivery = delivery;
    this.#manifest = manifest;
    this.#host = host;
  }

  get deps(): object {
    this.#scope ??= this.#host.openScope();
    return this.#scope.cradle;
  }

  get signal(): AbortSignal {
    return this.#delivery.abort.signal;
  }

  get log(): Log {
    this.#log ??= createJobLog(this.#delivery, this.#manifest, this.#host.log);
    return this.#log;
  }

  get progress(): Progress['report'] {
    this.#progress ??= createProgress((value) => this.#delivery.reportProgress(value));
    return this.#progress.report;
  }

  get enqueue(): EnqueuePort['enqueue'] {
    const { queue, jobId, enqueuedAt } = this.#delivery;
    // Ids are unique in a queue only, and BullMQ's own start at 1 again when a queue was emptied.
    this.#enqueue ??= createEnqueue(`${queue}\n${jobId}\n${enqueuedAt}`, this.#host.children);
    return this.#enqueue;
  }

  /** Sends the last progress; nothing when there was none. */
  flush(): Promise<void> | undefined {
    return this.#progress?.flush();
  }

  /** Ends the dependencies of this job; nothing when it touched none. */
  dispose(): Promise<void> | undefined {
    return this.#scope?.dispose();
  }
}
