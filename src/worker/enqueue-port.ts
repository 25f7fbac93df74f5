import type { NewJob } from '../broker/broker.ts';
import type { AnyTask, PayloadInput } from '../manifest/define-task.ts';

export interface ChildOptions {
  delayMs?: number;
  priority?: number;
  keepResultMs?: number;
}

/** What a task enqueues through. */
export interface EnqueuePort {
  enqueue<M extends AnyTask>(manifest: M, payload: PayloadInput<M>, options?: ChildOptions): Promise<{ id: string }>;
}

/** How a worker enqueues for its tasks; it is handed in, because a worker knows no producer. */
export interface ChildJobs {
  prepare(manifest: AnyTask, payload: unknown, options: ChildOptions & { id: string }): Promise<NewJob>;
  send(jobs: NewJob[]): Promise<void>;
  deriveId(parent: string, index: number): string;
}

/** Creates one job's enqueue: the n-th call always gets the same id. */
export function createEnqueue(parent: string, jobs: ChildJobs): EnqueuePort['enqueue'] {
  let index = 0;
  return async (manifest, payload, options = {}) => {
    const id = jobs.deriveId(parent, index++);
    await jobs.send([await jobs.prepare(manifest, payload, { ...options, id })]);
    return { id };
  };
}
