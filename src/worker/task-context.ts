import type { Resolver } from 'awilix';
import type { NewJob } from '../broker/broker.ts';
import { RateLimitedError, SnoozeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { checkOptions, checks, checkValue } from '../manifest/check-options.ts';
import type { AnyTask, DeliveryGuarantee, PayloadInput, PayloadOutput, ResultInput } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';

export interface VerdictOptions {
  /** Milliseconds, an integer from 1. */
  delayMs: number;
}

/** What a task may throw to run later at no attempt. An at-most-once task has no verdicts: its code would start again. */
export interface Verdicts {
  /** `throw snooze({ delayMs })` runs this job again, from its beginning, after `delayMs`. */
  snooze(options: VerdictOptions): SnoozeError;
  /** `throw rateLimited({ delayMs })` lets the queue give no job for `delayMs`, and then this one first. */
  rateLimited(options: VerdictOptions): RateLimitedError;
}

export const verdicts: Verdicts = {
  snooze: (options) => new SnoozeError(checkDelay('snooze', options)),
  rateLimited: (options) => new RateLimitedError(checkDelay('rateLimited', options)),
};

const verdictChecks = { delayMs: checks.redisMs(1) };

function checkDelay(verdict: string, options: VerdictOptions): number {
  checkOptions(`An option of ${verdict}`, options, ['delayMs'], verdictChecks, 'E_VERDICT_INVALID');
  return options.delayMs;
}

/** What a task may set of a job that it enqueues. */
export type ChildOptions = Pick<NewJob, 'delayMs' | 'priority' | 'keepResultMs'>;

export type Enqueue = <M extends AnyTask>(
  manifest: M,
  payload: PayloadInput<M>,
  options?: ChildOptions,
) => Promise<{ id: string }>;

/** What a running at-most-once task is given beside its payload. */
export interface AtMostOnceContext<Dependencies extends object> {
  /** The queue's dependencies; touching one makes a scope of this job's own. */
  readonly deps: Dependencies;
  /** Aborts on time-out, on cancel, at the worker's stop, and when the lock was lost. Hand it to all that takes a signal. */
  readonly signal: AbortSignal;
  /** A logger whose lines carry `queue, task, jobId, attempt`. */
  readonly log: Log;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  readonly jobId: string;
  /** What the job's producer sent beside the payload, untrusted and frozen; the jobs that this one enqueues have it, too. */
  readonly meta: JobMeta;
  /** Stores a number or an object as the job's progress. One report a second reaches Redis at most, and the last one. */
  readonly progress: (value: number | object) => void;
  /** Enqueues a job with an id derived from this one's, so that a rerun does not enqueue it twice. */
  readonly enqueue: Enqueue;
}

/** What a running at-least-once task is given beside its payload. */
export interface AtLeastOnceContext<Dependencies extends object> extends AtMostOnceContext<Dependencies>, Verdicts {}

/** What a running task is given beside its payload; `TaskContext<Dependencies, 'at-most-once'>` has no verdicts. */
export type TaskContext<
  Dependencies extends object = object,
  Guarantee extends DeliveryGuarantee = 'at-least-once',
> = Guarantee extends 'at-least-once' ? AtLeastOnceContext<Dependencies> : AtMostOnceContext<Dependencies>;

/** A task: its manifest, and the code that runs it. */
export interface Task<M extends AnyTask = AnyTask, Dependencies extends object = object> {
  readonly kind: 'implementation';
  readonly manifest: M;
  readonly run: (
    payload: PayloadOutput<M>,
    context: TaskContext<Dependencies, M['delivery']>,
  ) => ResultInput<M> | Promise<ResultInput<M>>;
}

/** Binds code to a manifest; task.ts exports the result by default. Throws `E_OPTIONS_INVALID`. */
export function implement<M extends AnyTask, Dependencies extends object = object>(
  manifest: M,
  run: Task<M, Dependencies>['run'],
): Task<M, Dependencies> {
  checkValue('The manifest of implement', manifest, checks.task);
  checkValue('The code of implement', run, checks.callable);
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

/** What tasks see of a dependencies.ts: the values, typed from its resolvers. */
// biome-ignore lint/suspicious/noExplicitAny: any function's parameters
export type DependenciesOf<F extends (...host: any[]) => unknown> = {
  [Name in keyof Awaited<ReturnType<F>>]: Awaited<ReturnType<F>>[Name] extends Resolver<infer Value> ? Value : never;
};
