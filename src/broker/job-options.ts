import type { DeduplicationOptions, JobsOptions } from 'bullmq';
import type { JobMeta } from '../manifest/meta.ts';
import type { NewJob } from './broker.ts';

/** What Islet writes beside BullMQ's own options. It arrives with the job, at no extra command. */
interface Stamp {
  version?: number;
  keepResultMs?: number;
  /** Of a stored job, `readOptions` has checked it. */
  meta?: JobMeta;
}

/** Returns BullMQ's key that prevents a second job. The script that adds the job sets it. */
export function toDeduplication({ id, task, dedupe, idempotencyMs }: NewJob): DeduplicationOptions | undefined {
  // With a ttl the key outlives the job: the id stands for it also when it is done and gone.
  if (!dedupe) return idempotencyMs === undefined ? undefined : { id, ttl: idempotencyMs };
  // No id has a ':', so none can clash with a key.
  const key = { id: `${task}:${dedupe.key}` };
  if (dedupe.mode === 'simple') return key;
  const ttl = dedupe.ttlMs ?? 0;
  return dedupe.mode === 'throttle' ? { ...key, ttl } : { ...key, ttl, extend: true, replace: true };
}

/**
 * Turns a job into BullMQ's options. Only for a mapped queue, whose jobs plain workers may run, do they say how it is
 * retried: Islet's workers read that in their manifest.
 */
export function toJobOptions(job: NewJob): JobsOptions {
  const { version, keepResultMs, meta, delayMs, priority, retries } = job;
  const stamp: Stamp = { version };
  // Redis encodes and keeps the options of each job, so options that are not set are left out.
  if (keepResultMs !== undefined) stamp.keepResultMs = keepResultMs;
  if (meta !== undefined) stamp.meta = meta;
  const options: JobsOptions & { islet: Stamp } = { islet: stamp };
  const deduplication = toDeduplication(job);
  if (deduplication) options.deduplication = deduplication;
  if (delayMs !== undefined) options.delay = delayMs;
  if (priority !== undefined) options.priority = priority;
  if (retries) {
    const { type, delayMs: delay, jitter } = retries.backoff;
    Object.assign(options, { attempts: retries.attempts, backoff: { type, delay, jitter } });
  }
  return options;
}

/** Tells whether Islet's producer has made a job. */
export const isStamped = (options: object): boolean => 'islet' in options;

/** Reads the stamp of a job; jobs of a plain BullMQ producer have none. */
export function readStamp(options: object): Stamp {
  return (options as { islet?: Stamp }).islet ?? {};
}
