import type { Delivery, JobRetries } from '../broker/broker.ts';
import { IsletError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { textOf } from '../thrown.ts';

type Retried = Pick<AnyTask, 'attempts' | 'backoff' | 'retries'>;

/** The longest wait that BullMQ's scripts write as an integer: ten years, in milliseconds. */
const mostWaitMs = 315_360_000_000;

/** Returns the milliseconds before the attempt that follows `attempt`, as the manifest has it. */
export function backoffMs({ backoff }: Pick<AnyTask, 'backoff'>, attempt: number, random = Math.random()): number {
  const { type, delayMs, maxDelayMs, jitter } = backoff;
  const whole = Math.min(maxDelayMs, type === 'fixed' ? delayMs : delayMs * 2 ** (attempt - 1));
  return Math.round(whole * (1 - jitter * random));
}

/** Returns the milliseconds before the next attempt of a job; nothing when this attempt was the last. */
export function nextAttemptMs(delivery: Delivery, manifest: Retried): number | undefined {
  const { attempt } = delivery;
  const own = ownRetries(delivery, manifest);
  if (own) return ownWaitMs(own, attempt);
  return attempt < manifest.attempts ? backoffMs(manifest, attempt) : undefined;
}

/** Returns the error of a job whose own options ask for retries that Islet cannot make. */
export function findRetryProblem(delivery: Delivery, manifest: Retried): IsletError | undefined {
  const own = ownRetries(delivery, manifest);
  if (!own || !hasNext(own, 1) || readBackoff(own.backoff)) return undefined;
  const { queue, task, jobId } = delivery;
  const asked = `asks for ${textOf(own.attempts, 100)} attempts with a backoff that Islet does not have`;
  const seen = `Job "${jobId}" of task "${task}" (queue "${queue}") ${asked}: ${textOf(own.backoff, 200)}.`;
  const fate = 'It is kept as failed, and no code was run.';
  const advice = "Say `retries: 'from-manifest'` in the task's manifest and retry the job, or enqueue it again";
  return new IsletError(
    'E_JOB_OPTIONS_UNSUPPORTED',
    `${seen} ${fate} ${advice} with a "fixed" or "exponential" backoff.`,
  );
}

function ownRetries({ retries }: Delivery, manifest: Retried): JobRetries | undefined {
  return manifest.retries === 'from-job' ? retries : undefined;
}

/** Compares as BullMQ does, which makes one attempt where `attempts` is not a number. */
const hasNext = ({ attempts }: JobRetries, attempt: number) => attempt < Number(attempts ?? 0);

interface OwnBackoff {
  readonly isFixed: boolean;
  readonly delay: number;
  readonly jitter: number;
}

const atOnce: OwnBackoff = { isFixed: true, delay: 0, jitter: 0 };

/** Reads a backoff as BullMQ does. Returns undefined where BullMQ would call a custom strategy, or fail. */
function readBackoff(backoff: unknown): OwnBackoff | undefined {
  if (!backoff) return atOnce;
  if (typeof backoff === 'number') return { ...atOnce, delay: backoff };
  const { type, delay, jitter } = backoff as { type?: unknown; delay?: unknown; jitter?: unknown };
  if (type !== 'fixed' && type !== 'exponential') return undefined;
  const isNumber = typeof delay === 'number' || (typeof delay === 'string' && Number.isFinite(Number(delay)));
  if (!isNumber && delay !== undefined && delay !== null) return undefined;
  return { isFixed: type === 'fixed', delay: Number(delay ?? 0), jitter: Number(jitter ?? 0) };
}

/** Computes as BullMQ does, also where it fails a job for a wait of -1. */
function ownWaitMs(own: JobRetries, attempt: number): number | undefined {
  const backoff = hasNext(own, attempt) ? readBackoff(own.backoff) : undefined;
  if (!backoff) return undefined;
  const { isFixed, delay, jitter } = backoff;
  const whole = isFixed ? delay : Math.round(2 ** (attempt - 1) * delay);
  const waitMs = jitter > 0 ? Math.floor(Math.random() * whole * jitter + whole * (1 - jitter)) : whole;
  if (waitMs === -1) return undefined;
  return Number.isNaN(waitMs) ? 0 : Math.min(mostWaitMs, Math.max(0, Math.round(waitMs)));
}
