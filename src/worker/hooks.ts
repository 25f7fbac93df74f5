import type { BullmqWorker, Failure, Outcome } from '../broker/broker.ts';
import { checks, checkValue } from '../manifest/check-options.ts';
import type { Refused } from '../manifest/checked.ts';
import type { JobMeta } from '../manifest/meta.ts';
import type { QueueHost } from './task-context.ts';

/** What hooks see of a job. */
export interface HookedJob {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** When the job was enqueued, in milliseconds since 1970 by the clock of Redis. */
  readonly enqueuedAt: number;
  /** When its worker took the job for this attempt, by the same clock, also where its code was not run. */
  readonly startedAt: number;
  /** What the job's producer sent beside the payload: untrusted, frozen, redacted fields included. */
  readonly meta: JobMeta;
  /** The payload as it was enqueued, redacted fields included; a copy, which no task sees. */
  readonly payload: unknown;
}

/** How a run of a job ended; `ok` is whether it completed. */
export type JobEnd =
  | { readonly ok: true; readonly outcome: 'completed' }
  | {
      readonly ok: false;
      /** `retry` and `failed` are errors; the others are what somebody asked for. */
      readonly outcome: Exclude<Outcome['kind'], 'completed'>;
      /** The code of the error, when the job is tried again, failed or was cancelled. */
      readonly code: string | undefined;
      /** What was thrown, or why the job's signal aborted, redacted values included. */
      readonly error: unknown;
    };

/** Why a job failed, without redacted values. */
export type JobFailure = Readonly<Failure>;

/** What an app does around its jobs. A hook of a job that throws, or hangs for 5 seconds, is logged and changes nothing. */
export interface Hooks {
  /**
   * Called around each run of a job's code, which `run` starts: what is set in an AsyncLocalStorage here reaches the
   * code of a task whose pool is "async". `run` never rejects. A hook that does not call it cannot keep the job from
   * running. The task's `timeoutMs` counts from `run` to the end of the task, without what the hook takes.
   */
  aroundJob?(job: HookedJob, run: () => Promise<JobEnd>): void | Promise<void>;
  /**
   * Called when a job has failed for good, once that is written, also when its code was not run; not when a job was
   * cancelled. Nothing but the worker's stop waits for the hook.
   */
  onJobFailed?(job: HookedJob, failure: JobFailure): void | Promise<void>;
  /** Called once, before the first job. When it throws, the worker does not start. */
  onWorkerStart?(started: WorkerStart): void | Promise<void>;
  /** Called once, after the last job, while dependencies are still open. */
  onWorkerStop?(stopped: { readonly queues: readonly string[] }): void | Promise<void>;
}

/** A worker process that starts, as hooks see it. */
export interface WorkerStart {
  /** The names of its queues. */
  readonly queues: readonly string[];
  /**
   * BullMQ's own Workers, one for each queue in the same order, before their first job: listen to their events, change
   * `concurrency` while they run, or set `opts.metrics` and `opts.telemetry` here. Islet starts and closes them. Empty in
   * tests without Redis.
   */
  readonly workers: readonly BullmqWorker[];
}

/** What a hooks.ts exports by default. */
export type CreateHooks<Config> = (host: QueueHost<Config>) => Hooks | Promise<Hooks>;

/** Refuses members that are not hooks. Without this, TypeScript lets a function return them beside real hooks. */
type OnlyHooks<Made> = Made & {
  [Name in keyof Made]: Name extends keyof Hooks ? Hooks[Name] : Refused<'there is no hook of this name'>;
};

/**
 * Types the default export of `queues/hooks.ts`, for all queues, or of `queues/<queue>/hooks.ts`. The settings are typed by
 * the parameter: `({ config }: QueueHost<AppConfig>) => ...`. Throws `E_OPTIONS_INVALID`.
 */
export function defineHooks<Made extends Hooks, Config = unknown>(
  create: (host: QueueHost<Config>) => OnlyHooks<Made> | Promise<OnlyHooks<Made>>,
): CreateHooks<Config> {
  checkValue('The hooks of defineHooks', create, checks.callable);
  return create;
}
