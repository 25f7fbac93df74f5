import { AsyncLocalStorage } from 'node:async_hooks';
import type { Delivery, EndedJob, Failure, Outcome } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { Clock } from './clock.ts';
import { identify } from './create-context.ts';
import type { HookedJob, Hooks, JobEnd, LoadedHooks } from './hooks.ts';
import { toFailure } from './outcome.ts';

/** How a delivery ended, and what was thrown. */
export interface Ended {
  outcome: Outcome;
  error?: unknown;
}

/** The hooks of one queue's jobs; each is undefined when no file has it. */
export interface JobHooks {
  /** Does the work inside the hooks, and returns its end. Rejects only when the work does. */
  readonly around: ((delivery: Delivery, manifest: AnyTask, work: () => Promise<Ended>) => Promise<Ended>) | undefined;
  /** Tells of a job that failed for good. Never rejects. */
  readonly failed: ((job: EndedJob, manifest: AnyTask | undefined, failure: Failure) => Promise<void>) | undefined;
}

/** One call of a hook: by what it is timed, and who hears of its trouble. */
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

const notCalled = new Error('it did not call run: the job runs without it');
const tooLong = new Error('it took too long: nothing waits for it any longer');

/** Is set wherever code of a hook runs, also in stray callbacks and rejections; not in the job's own code. */
const currentHook = new AsyncLocalStorage<HookCall | undefined>();

/** Logs what escaped a hook, in a callback or a rejection, and returns whether it did: it concerns no job. */
export function blameHook(error: unknown): boolean {
  const hook = currentHook.getStore();
  hook?.warn(error);
  return hook !== undefined;
}

/** Runs code of a hook: what escapes it, now or in a callback of later, is its own. Throws what it throws. */
export const runAsHook = <T>(call: HookCall, hook: () => T): T => currentHook.run(call, hook);

/** Calls a hook. Whatever that throws is logged; it never rejects. */
async function callHook(hook: () => unknown, call: HookCall): Promise<void> {
  try {
    await runAsHook(call, hook);
  } catch (error) {
    call.warn(error);
  }
}

/** Returns whether `work` ended in time. */
async function inTime(work: Promise<unknown>, { timers, stopping }: HookCall): Promise<boolean> {
  let stopTimer = () => {};
  let onStop = () => {};
  const late = new Promise<false>((resolve) => {
    const expireIn = (ms: number) => {
      stopTimer();
      stopTimer = timers.startTimer(ms, () => resolve(false));
    };
    onStop = () => expireIn(stoppingLimitMs);
    if (stopping?.aborted) onStop();
    else expireIn(limitMs);
    stopping?.addEventListener('abort', onStop, { once: true });
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    stopTimer();
    stopping?.removeEventListener('abort', onStop);
  }
}

/** Calls a hook and waits for it, but not for ever. Never rejects. */
export async function callInTime(hook: () => unknown, call: HookCall): Promise<void> {
  if (!(await inTime(callHook(hook, call), call))) call.warn(tooLong);
}

function toJobEnd({ outcome, error }: Ended): JobEnd {
  if (outcome.kind === 'completed') return { ok: true, outcome: outcome.kind };
  return { ok: false, outcome: outcome.kind, code: 'failure' in outcome ? outcome.failure.code : undefined, error };
}

/** Does the work once, inside the hook if that calls `run` in time, else beside it; its end is the work's. */
async function runInside(
  hook: NonNullable<Hooks['aroundJob']>,
  job: HookedJob,
  work: () => Promise<Ended>,
  call: HookCall,
): Promise<Ended> {
  let running: Promise<Ended> | undefined;
  let onStart = () => {};
  const started = new Promise<void>((resolve) => {
    onStart = resolve;
  });
  const start = () => {
    running ??= currentHook.run(undefined, work);
    onStart();
    return running;
  };
  const over = callHook(() => hook(job, () => start().then(toJobEnd)), call);
  await inTime(Promise.race([started, over]), call);
  if (!running) call.warn(notCalled);
  const end = await start();
  if (!(await inTime(over, call))) call.warn(tooLong);
  return end;
}

/** What hooks see of a job: a copy, so that no hook changes what the task gets. It is made for those that look. */
function toHookedJob({ jobId: id, task, queue, attempt, input }: EndedJob): HookedJob {
  let copy: unknown;
  return Object.freeze({
    id,
    task,
    queue,
    attempt,
    get payload() {
      copy ??= structuredClone(input);
      return copy;
    },
  });
}

/** Joins the hooks of a queue's jobs, the outermost first; undefined when there are none. */
export function joinHooks(
  loaded: readonly LoadedHooks[],
  { log, timers, stopping }: { log: Log } & Pick<HookCall, 'timers' | 'stopping'>,
): JobHooks | undefined {
  const around = loaded.filter(({ aroundJob }) => aroundJob);
  const failed = loaded.filter(({ onJobFailed }) => onJobFailed);
  if (around.length + failed.length === 0) return undefined;
  const toCall = (job: EndedJob, manifest: AnyTask | undefined, file: string, hook: keyof Hooks): HookCall => ({
    timers,
    stopping,
    warn(error) {
      const problem = toFailure(error, manifest, job.input).causeMessage;
      log.warn({ ...identify(job), file, hook, problem }, 'A hook failed');
    },
  });
  const runAround: JobHooks['around'] = (delivery, manifest, work) => {
    const job = toHookedJob(delivery);
    return around.reduceRight((inner, { aroundJob, file }) => {
      const call = toCall(delivery, manifest, file, 'aroundJob');
      return aroundJob ? () => runInside(aroundJob, job, inner, call) : inner;
    }, work)();
  };
  const tellAll: JobHooks['failed'] = async (ended, manifest, failure) => {
    const job = toHookedJob(ended);
    const told = failed.map(({ onJobFailed, file }) =>
      callInTime(() => onJobFailed?.(job, failure), toCall(ended, manifest, file, 'onJobFailed')),
    );
    await Promise.all(told);
  };
  return {
    around: around.length > 0 ? runAround : undefined,
    failed: failed.length > 0 ? tellAll : undefined,
  };
}
