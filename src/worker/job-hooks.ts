import type { Delivery, EndedJob, Failure, Outcome } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { callHook, callInTime, currentHook, type HookCall, inTime, tooLong, warnOf } from './call-hook.ts';
import { defer } from './deferred.ts';
import type { HookedJob, Hooks, JobEnd } from './hooks.ts';
import type { LoadedHooks } from './load-hooks.ts';

export interface Ended {
  outcome: Outcome;
  error?: unknown;
}

/** The hooks of one queue's jobs; each is undefined when no file has it. */
export interface JobHooks {
  /** Does the work inside the hooks, and returns its end. Rejects only when the work does. */
  readonly around: ((delivery: Delivery, manifest: AnyTask, work: () => Promise<Ended>) => Promise<Ended>) | undefined;
  /** Tells the hooks of a job that failed for good. Never rejects. */
  readonly failed: ((job: EndedJob, manifest: AnyTask | undefined, failure: Failure) => Promise<void>) | undefined;
}

const notCalled = new Error('it did not call run: the job runs without it');

/** Joins the hooks of a queue's jobs, the outermost first. Returns nothing when there are none. */
export function joinHooks(
  loaded: readonly LoadedHooks[],
  { log, timers, stopping }: { log: Log } & Pick<HookCall, 'timers' | 'stopping'>,
): JobHooks | undefined {
  const around = loaded.flatMap(({ file, aroundJob: hook }) => (hook ? [{ file, hook }] : []));
  const failed = loaded.flatMap(({ file, onJobFailed: hook }) => (hook ? [{ file, hook }] : []));
  if (around.length + failed.length === 0) return undefined;
  const runAround: JobHooks['around'] = (delivery, manifest, work) => {
    const job = toHookedJob(delivery);
    return around.reduceRight((inner, { file, hook }) => {
      const warn = warnOf(log, file, 'aroundJob', delivery, manifest);
      return () => runInside(hook, job, inner, { timers, stopping, warn });
    }, work)();
  };
  const tellAll: JobHooks['failed'] = async (ended, manifest, failure) => {
    const job = toHookedJob(ended);
    const told = failed.map(({ file, hook }) => {
      const warn = warnOf(log, file, 'onJobFailed', ended, manifest);
      return callInTime(() => hook(job, failure), { timers, stopping, warn });
    });
    await Promise.all(told);
  };
  return {
    around: around.length > 0 ? runAround : undefined,
    failed: failed.length > 0 ? tellAll : undefined,
  };
}

/** Does the work once, inside the hook if that calls `run` in time, else beside it. Returns the end of the work. */
async function runInside(
  hook: NonNullable<Hooks['aroundJob']>,
  job: HookedJob,
  work: () => Promise<Ended>,
  call: HookCall,
): Promise<Ended> {
  let running: Promise<Ended> | undefined;
  const started = defer();
  const start = () => {
    running ??= currentHook.run(undefined, work);
    started.resolve();
    return running;
  };
  const over = callHook(() => hook(job, () => start().then(toJobEnd)), call);
  await inTime(Promise.race([started.promise, over]), call);
  if (!running) call.warn(notCalled);
  const end = await start();
  if (!(await inTime(over, call))) call.warn(tooLong);
  return end;
}

function toJobEnd({ outcome, error }: Ended): JobEnd {
  if (outcome.kind === 'completed') return { ok: true, outcome: outcome.kind };
  return { ok: false, outcome: outcome.kind, code: 'failure' in outcome ? outcome.failure.code : undefined, error };
}

/** Shows a job to hooks. The payload is a copy, so that no hook changes what the task gets, and made for those that look. */
function toHookedJob(job: EndedJob): HookedJob {
  const { jobId: id, task, queue, attempt, enqueuedAt, startedAt, meta, input } = job;
  let copy: unknown;
  return Object.freeze({
    id,
    task,
    queue,
    attempt,
    enqueuedAt,
    startedAt,
    meta,
    get payload() {
      copy ??= structuredClone(input);
      return copy;
    },
  });
}
