import type { ModuleSource } from '../app/app-source.ts';
import type { BullmqWorker, Failure, Outcome } from '../broker/broker.ts';
import { IsletError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Refused } from '../manifest/checked.ts';
import { callInTime, type HookCall, runAsHook } from './job-hooks.ts';
import { toFailure } from './outcome.ts';
import type { QueueHost } from './task-context.ts';

/** What hooks see of a job. */
export interface HookedJob {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  /** Numbered from 1. */
  readonly attempt: number;
  /** As it was enqueued, redacted fields included; a copy, which no task sees. */
  readonly payload: unknown;
}

/** How a run of a job ended; `ok` is whether it completed. */
export type JobEnd =
  | { readonly ok: true; readonly outcome: 'completed' }
  | {
      readonly ok: false;
      /** `retry` and `failed` are errors; the others are what somebody asked for. */
      readonly outcome: Exclude<Outcome['kind'], 'completed'>;
      /** Of a job that is tried again, failed or was cancelled. */
      readonly code: string | undefined;
      /** What was thrown, or why the job's signal aborted; as it is, redacted values included. */
      readonly error: unknown;
    };

/** Why a job failed, without redacted values. */
export type JobFailure = Readonly<Failure>;

/**
 * What an app does around its jobs. A hook of a job that throws, or that hangs for 5 seconds, is logged and changes
 * nothing.
 */
export interface Hooks {
  /**
   * Called around each run of a job's code, which `run` starts: what is set in an AsyncLocalStorage here reaches the
   * code of a task whose pool is "async". `run` never rejects. A hook that does not call it cannot keep the job from
   * running. The task's `timeoutMs` counts from `run` to the end of the task, so what a hook takes is not charged to it.
   */
  aroundJob?(job: HookedJob, run: () => Promise<JobEnd>): void | Promise<void>;
  /**
   * Called when a job has failed for good, once that is written, also when its code was not run; nothing waits for it
   * but the worker's stop. Not for a job that was cancelled.
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

/** Refuses what is no hook, which TypeScript lets a function return beside what is one. */
type OnlyHooks<Made> = Made & {
  [Name in keyof Made]: Name extends keyof Hooks ? Hooks[Name] : Refused<'there is no hook of this name'>;
};

/**
 * Types the default export of `queues/hooks.ts`, for all queues, or of `queues/<queue>/hooks.ts`. The settings are typed by
 * the parameter: `({ config }: QueueHost<AppConfig>) => ...`.
 */
export function defineHooks<Made extends Hooks, Config = unknown>(
  create: (host: QueueHost<Config>) => OnlyHooks<Made> | Promise<OnlyHooks<Made>>,
): CreateHooks<Config> {
  return create;
}

export interface LoadedHooks extends Hooks {
  readonly file: string;
}

const names = ['aroundJob', 'onJobFailed', 'onWorkerStart', 'onWorkerStop'] as const;

/** What a thrown value says, without passwords. */
const textOf = (error: unknown) => toFailure(error, undefined, undefined).causeMessage;

/** The worker's own clock is not there yet when it starts. */
const plainTimers = {
  startTimer(ms: number, run: () => void) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

function hooksFailed(file: string, said: string, cause?: unknown): IsletError {
  const text = `The hooks in ${file} failed: ${said}. The worker did not start.`;
  return new IsletError('E_HOOKS_FAILED', text, { cause });
}

function checkHooks(file: string, hooks: unknown): asserts hooks is Hooks {
  if (typeof hooks !== 'object' || hooks === null) {
    throw hooksFailed(file, 'its function must return an object of hooks');
  }
  const isPlain = Object.getPrototypeOf(hooks) === Object.prototype;
  // An object of a class may hold what its hooks need.
  const unknown = isPlain ? Object.keys(hooks).find((name) => !names.some((known) => known === name)) : undefined;
  const use = `Use one of ${names.join(', ')}`;
  if (unknown !== undefined) throw hooksFailed(file, `there is no hook "${unknown}". ${use}`);
  if (!isPlain && !names.some((name) => name in hooks)) throw hooksFailed(file, `its object has no hook. ${use}`);
  for (const name of names) {
    const hook = (hooks as Hooks)[name];
    if (hook !== undefined && typeof hook !== 'function') throw hooksFailed(file, `"${name}" must be a function`);
  }
}

/** The hooks as functions of their own, which keep the object that they were methods of. */
function bindHooks(hooks: Hooks): Hooks {
  return {
    aroundJob: hooks.aroundJob?.bind(hooks),
    onJobFailed: hooks.onJobFailed?.bind(hooks),
    onWorkerStart: hooks.onWorkerStart?.bind(hooks),
    onWorkerStop: hooks.onWorkerStop?.bind(hooks),
  };
}

/** A hook of no job. */
function callOf(file: string, hook: string, log: Log): HookCall {
  const warn = (error: unknown) => log.warn({ file, hook, problem: textOf(error) }, 'A hook failed');
  return { timers: plainTimers, warn };
}

/** Imports the hooks of one file, and makes them. Throws `E_HOOKS_FAILED`. */
export async function loadHooks({ file, load }: ModuleSource, host: QueueHost): Promise<LoadedHooks> {
  try {
    const create = await load();
    if (typeof create !== 'function') throw hooksFailed(file, 'it must export a function by default');
    const hooks: unknown = await runAsHook(callOf(file, 'default', host.log), () => create(host));
    checkHooks(file, hooks);
    return { ...bindHooks(hooks), file };
  } catch (cause) {
    if (cause instanceof IsletError && cause.code === 'E_HOOKS_FAILED') throw cause;
    throw hooksFailed(file, textOf(cause), cause);
  }
}

/** Tells hooks that the worker starts, and returns how to tell them that it has stopped. Throws `E_HOOKS_FAILED`. */
export async function startHooks(
  { file, onWorkerStart, onWorkerStop }: LoadedHooks,
  started: WorkerStart,
  log: Log,
): Promise<() => Promise<void>> {
  try {
    await runAsHook(callOf(file, 'onWorkerStart', log), () => onWorkerStart?.(started));
  } catch (cause) {
    throw hooksFailed(file, `onWorkerStart threw: ${textOf(cause)}`, cause);
  }
  const { queues } = started;
  return () => callInTime(() => onWorkerStop?.({ queues }), callOf(file, 'onWorkerStop', log));
}
