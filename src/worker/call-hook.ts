import { AsyncLocalStorage } from 'node:async_hooks';
import type { EndedJob } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { tryTo } from '../thrown.ts';
import type { Clock } from './clock.ts';
import { defer } from './deferred.ts';
import { toFailure } from './describe-error.ts';
import { identify } from './job-context.ts';

/** One call of a hook: who times it, and who hears of its trouble. */
export interface HookCall {
  timers: Pick<Clock, 'startTimer'>;
  /** Aborts when the worker gives its jobs back: it waits for no hook then. */
  stopping?: AbortSignal;
  warn(error: unknown): void;
}

/** How long a hook may take before and after a job, in milliseconds. */
const limitMs = 5_000;
/** The same when the worker gives its jobs back: the process ends soon, and has outcomes to write before. */
const stoppingLimitMs = 100;

export const tooLong = new Error('it took too long: nothing waits for it any longer');

/** Holds the call wherever code of a hook runs, also in stray callbacks and rejections; nothing in the job's own code. */
export const currentHook = new AsyncLocalStorage<Pick<HookCall, 'warn'> | undefined>();

/** Logs an error that escaped a hook, in a callback or a rejection. Returns false when it escaped something else. */
export function blameHook(error: unknown): boolean {
  const hook = currentHook.getStore();
  hook?.warn(error);
  return hook !== undefined;
}

/**
 * Creates the function that logs an error of a hook; for the hook of a job, without the values that the manifest
 * redacts.
 */
export function warnOf(log: Log, file: string, hook: string, job?: EndedJob, manifest?: AnyTask): HookCall['warn'] {
  // The job goes on, also if nobody can be told.
  return (error) =>
    tryTo(() => {
      const problem = toFailure(error, manifest, job).causeMessage;
      log.warn({ ...(job && identify(job)), file, hook, problem }, 'A hook failed');
    });
}

/** Calls a hook, and logs what it throws. Never rejects. */
export async function callHook(hook: () => unknown, call: HookCall): Promise<void> {
  try {
    await currentHook.run(call, hook);
  } catch (error) {
    call.warn(error);
  }
}

export async function inTime(work: Promise<unknown>, { timers, stopping }: HookCall): Promise<boolean> {
  const late = defer<false>();
  const expireIn = (ms: number) => timers.startTimer(ms, () => late.resolve(false));
  let stopTimer = expireIn(stopping?.aborted ? stoppingLimitMs : limitMs);
  const onStop = () => {
    stopTimer();
    stopTimer = expireIn(stoppingLimitMs);
  };
  stopping?.addEventListener('abort', onStop, { once: true });
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    stopTimer();
    stopping?.removeEventListener('abort', onStop);
  }
}

/** Calls a hook and waits for it, but not for ever. Never rejects. */
export async function callInTime(hook: () => unknown, call: HookCall): Promise<void> {
  if (!(await inTime(callHook(hook, call), call))) call.warn(tooLong);
}
