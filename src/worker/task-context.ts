import type { Resolver } from 'awilix';
import type { Log } from '../log.ts';
import type { AnyTask, PayloadOutput, ResultInput } from '../manifest/define-task.ts';
import type { EnqueuePort } from './enqueue-port.ts';

/** What a running task is given beside its payload. */
export interface TaskContext<Dependencies extends object = object> {
  /** The queue's dependencies; a scope of this job's own is made when one is touched. */
  readonly deps: Dependencies;
  /** Aborts on time-out, at the worker's stop, and when the job's lock was lost. Hand it to whatever takes one. */
  readonly signal: AbortSignal;
  /** A logger whose lines carry `queue, task, jobId, attempt`. */
  readonly log: Log;
  /** Numbered from 1. */
  readonly attempt: number;
  readonly jobId: string;
  /** Stores a number or an object as the job's progress; at most once a second reaches Redis, the last one wins. */
  readonly progress: (value: number | object) => void;
  /** Enqueues a job with an id derived from this one's, so that a rerun does not enqueue it twice. */
  readonly enqueue: EnqueuePort['enqueue'];
}

export type TaskFunction<M extends AnyTask, Dependencies extends object> = (
  payload: PayloadOutput<M>,
  context: TaskContext<Dependencies>,
) => ResultInput<M> | Promise<ResultInput<M>>;

/** A task: its manifest, and the code that runs it. */
export interface Task<M extends AnyTask = AnyTask, Dependencies extends object = object> {
  readonly kind: 'implementation';
  readonly manifest: M;
  readonly run: TaskFunction<M, Dependencies>;
}

/** Binds code to a manifest; task.ts exports the result by default. */
export function implement<M extends AnyTask, Dependencies extends object = object>(
  manifest: M,
  run: TaskFunction<M, Dependencies>,
): Task<M, Dependencies> {
  return Object.freeze({ kind: 'implementation', manifest, run });
}

/** What a queue's dependencies.ts is handed. */
export interface QueueHost<Config = unknown> {
  readonly config: Config;
  readonly log: Log;
}

/** The resolvers that a dependencies.ts returns, by name. */
// biome-ignore lint/suspicious/noExplicitAny: awilix resolves to any type
export type Registrations = Record<string, Resolver<any>>;

/** What tasks see of a dependencies.ts: the resolved values, typed from its resolvers. */
// biome-ignore lint/suspicious/noExplicitAny: any function's parameters
export type DependenciesOf<F extends (...host: any[]) => unknown> = {
  [Name in keyof Awaited<ReturnType<F>>]: Awaited<ReturnType<F>>[Name] extends Resolver<infer Value> ? Value : never;
};
