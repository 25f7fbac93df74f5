import type { DeduplicationOptions, JobsOptions } from 'bullmq';
import type { NewJob } from './broker.ts';

/** What Islet writes beside BullMQ's own options; it arrives with the job at no extra command. */
export interface Stamp {
  version?: number;
  keepResultMs?: number;
}

/** BullMQ's key by which a second job is not made: it is set by the same script that adds the job. */
export function toDeduplication({ id, task, dedupe, idempotencyMs }: NewJob): DeduplicationOptions | undefined {
  // With a ttl the key outlives the job, so that an id stands for a job that is done and gone.
  if (!dedupe) return idempotencyMs === undefined ? undefined : { id, ttl: idempotencyMs };
  // No id has a ':', so none can clash with a key.
  const key = { id: `${task}:${dedupe.key}` };
  if (dedupe.mode === 'simple') return key;
  const ttl = dedupe.ttlMs ?? 0;
  return dedupe.mode === 'throttle' ? { ...key, ttl } : { ...key, ttl, extend: true, replace: true };
}

/** Turns a job into BullMQ's options. Retries are decided by the worker's manifest, so none are stored here. */
export function toJobOptions(job: NewJob): JobsOptions {
  const { version, keepResultMs, delayMs, priority } = job;
  const stamp: Stamp = keepResultMs === undefined ? { version } : { version, keepResultMs };
  // Redis encodes and keeps them for each job, so nothing stands there that says nothing.
  const options: JobsOptions & { islet: Stamp } = { islet: stamp };
  const deduplication = toDeduplication(job);
  if (deduplication) options.deduplication = deduplication;
  if (delayMs !== undefined) options.delay = delayMs;
  if (priority !== undefined) options.priority = priority;
  return options;
}

/** Reads the stamp of a job; jobs of a plain BullMQ producer have none. */
export function readStamp(options: object): Stamp {
  return (options as { islet?: Stamp }).islet ?? {};
}
