import type { JobsOptions } from 'bullmq';
import type { NewJob } from './broker.ts';

/** What Islet writes beside BullMQ's own options; it arrives with the job at no extra command. */
export interface Stamp {
  version?: number;
  keepResultMs?: number;
}

/**
 * Turns a job into BullMQ's options. Retries are decided by the worker's manifest, so none are stored here.
 * BullMQ's throttle key does the idempotency: it is set by the same script that adds the job and outlives the job.
 */
export function toJobOptions(job: NewJob): JobsOptions {
  const stamp: Stamp = { version: job.version, keepResultMs: job.keepResultMs };
  return {
    jobId: job.id,
    delay: job.delayMs ?? 0,
    ...(job.priority === undefined ? {} : { priority: job.priority }),
    ...(job.idempotencyMs === undefined ? {} : { deduplication: { id: job.id, ttl: job.idempotencyMs } }),
    islet: stamp,
  } as JobsOptions;
}

/** Reads the stamp of a job; jobs of a plain BullMQ producer have none. */
export function readStamp(options: object): Stamp {
  return (options as { islet?: Stamp }).islet ?? {};
}
