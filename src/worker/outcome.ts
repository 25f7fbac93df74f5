import type { Delivery, Outcome } from '../broker/broker.ts';
import {
  CancelledError,
  IsletError,
  LockLostError,
  PermanentError,
  PoolCrashedError,
  RateLimitedError,
  ReleasedError,
  SnoozeError,
  TimeoutError,
} from '../errors.ts';
import { checks } from '../manifest/check-options.ts';
import { taskDefaults, type WorkerLimits } from '../manifest/defaults.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { toJson } from '../manifest/to-json.ts';
import { nameOf, read, textOf, tryTo } from '../thrown.ts';
import type { Clock } from './clock.ts';
import { internalError, toFailure } from './describe-error.ts';
import { nextAttemptMs } from './retries.ts';

/** The codes of errors that trying again cannot mend. BullMQ's own error of that kind is known by its name, as there. */
const permanentCodes = new Set<unknown>(['E_PAYLOAD_INVALID', 'E_RESULT_INVALID']);

export function describeJob({ queue, task, jobId }: Delivery): string {
  return `Job "${jobId}" of task "${task}" (queue "${queue}")`;
}

type Ending = [delivery: Delivery, manifest: AnyTask | undefined, error: unknown];

function toEnd(...[delivery, manifest, error]: Ending) {
  const keepResultMs = delivery.keepResultMs ?? manifest?.keepResultMs;
  return { failure: toFailure(error, manifest, delivery), keepResultMs };
}

export const failed = (...ending: Ending) => ({ kind: 'failed', ...toEnd(...ending) }) as const;
export const cancelled = (...ending: Ending) => ({ kind: 'cancelled', ...toEnd(...ending) }) as const;

/** Ends an at-most-once job whose code had started in a worker that stopped or died. */
export function interrupted(delivery: Delivery, manifest: AnyTask): Outcome {
  const seen = `${describeJob(delivery)} was interrupted: its code had started when its worker stopped or died.`;
  const advice = 'It is at-most-once, so it is not run again. Check what it has done before you retry it.';
  return failed(delivery, manifest, new IsletError('E_JOB_INTERRUPTED', `${seen} ${advice}`));
}

/** Returns the outcome that holds whatever the code did: another worker has the job, or somebody cancelled it. */
function overrule(delivery: Delivery, manifest: AnyTask): Outcome | undefined {
  const { abort } = delivery;
  const { reason } = abort;
  abort.isDecided = true;
  if (reason instanceof LockLostError) return { kind: 'lost' };
  return reason instanceof CancelledError ? cancelled(delivery, manifest, reason) : undefined;
}

/** Writes what a task returned as JSON. Throws `E_RESULT_INVALID`. */
export function toResultJson(manifest: AnyTask, result: unknown): string | undefined {
  if (result === undefined) return undefined;
  return toJson(result, `The result of task "${manifest.name}"`, 'E_RESULT_INVALID', manifest.maxResultBytes);
}

/** Returns the outcome of a delivery whose task returned, also if that was after a time-out, or at the worker's stop. */
export function completed(delivery: Delivery, manifest: AnyTask, resultJson: string | undefined): Outcome {
  const keepResultMs = delivery.keepResultMs ?? manifest.keepResultMs;
  const isShown = manifest.keepReturnValue;
  return overrule(delivery, manifest) ?? { kind: 'completed', resultJson, keepResultMs, isShown };
}

/** What decides how often a job may be given back, and by which clock that is counted. */
export interface Rules {
  readonly limits: WorkerLimits;
  readonly clock: Pick<Clock, 'now'>;
}

function release(delivery: Delivery, manifest: AnyTask, started: boolean, { limits, clock }: Rules): Outcome {
  if (!started) return { kind: 'released', counted: false };
  if (manifest.delivery === 'at-most-once') return interrupted(delivery, manifest);
  const { maxReleases, windowMs } = limits;
  const now = clock.now();
  const releases = delivery.memory.releases.filter((at) => now - at <= windowMs).length + 1;
  if (releases <= maxReleases) return { kind: 'released', counted: true };
  const seen = `${describeJob(delivery)} did not end before its worker stopped, ${releases} times within ${windowMs} ms`;
  const advice = 'Let the task end sooner, or raise `worker.gracefulTimeout` or `worker.maxReleases`.';
  const text = `${seen}, and the limit is ${maxReleases}. ${advice}`;
  return failed(delivery, manifest, new IsletError('E_RELEASE_LIMIT', text));
}

/** Grants what a task asked for by throwing a verdict, or fails a job that must not start again. */
function grantVerdict(delivery: Delivery, manifest: AnyTask, asked: SnoozeError | RateLimitedError): Outcome {
  const kind = asked instanceof SnoozeError ? 'snoozed' : 'rateLimited';
  const verdict = kind === 'snoozed' ? 'snooze' : kind;
  const delayMs = read(asked, 'delayMs');
  // The task's code may have made the error by itself, or changed it.
  const expected = checks.integer(1)(delayMs);
  if (expected) {
    const seen = `${describeJob(delivery)} threw \`${verdict}\` with a wrong \`delayMs\``;
    const text = `${seen}: expected ${expected}, got ${textOf(delayMs, 100)}. Throw what the context's \`${verdict}\` makes.`;
    return failed(delivery, manifest, new IsletError('E_VERDICT_INVALID', text));
  }
  if (manifest.delivery === 'at-least-once') return { kind, delayMs: delayMs as number };
  const seen = `${describeJob(delivery)} threw \`${verdict}\`, but its task is at-most-once.`;
  const advice = 'It is not run again. Enqueue a new job instead, or make the task at-least-once.';
  return failed(delivery, manifest, new IsletError('E_VERDICT_REFUSED', `${seen} ${advice}`));
}

/** Returns the outcome of a delivery whose task threw, or could not be run; `started` is whether its code was reached. */
export function classify(
  delivery: Delivery,
  manifest: AnyTask,
  error: unknown,
  started: boolean,
  rules: Rules,
): Outcome {
  const overruled = overrule(delivery, manifest);
  if (overruled) return overruled;
  const { reason } = delivery.abort;
  if (reason instanceof ReleasedError) return release(delivery, manifest, started, rules);
  if (error instanceof SnoozeError || error instanceof RateLimitedError) return grantVerdict(delivery, manifest, error);
  // Libraries throw an error of their own when their signal aborts, which says less than its reason.
  const isTimeout = reason instanceof TimeoutError && nameOf(error) === 'AbortError';
  const cause = isTimeout ? reason : error;
  const permanent =
    cause instanceof PermanentError ||
    nameOf(cause) === 'UnrecoverableError' ||
    (cause instanceof IsletError && permanentCodes.has(read(cause, 'code')));
  const delayMs = permanent ? undefined : nextAttemptMs(delivery, manifest);
  if (delayMs === undefined) return failed(delivery, manifest, cause);
  const failure = toFailure(cause, manifest, delivery);
  const retry = { kind: 'retry', failure, delayMs } as const;
  return cause instanceof PoolCrashedError ? { ...retry, crashed: true } : retry;
}

/**
 * Returns the outcome of a delivery in which Islet's own code failed. An attempt is used, as the job's code may have run.
 * Never throws, whatever else of the worker does.
 */
export function failedInside(
  delivery: Delivery,
  manifest: AnyTask | undefined,
  thrown: unknown,
  rules: Rules,
): Outcome {
  const error = internalError(thrown);
  const classified = tryTo(() => manifest && classify(delivery, manifest, error, true, rules));
  if (classified) return classified;
  const delayMs = nextAttemptMs(delivery, manifest ?? taskDefaults);
  const failure = toFailure(error, manifest, delivery);
  return delayMs === undefined ? { kind: 'failed', failure } : { kind: 'retry', failure, delayMs };
}
