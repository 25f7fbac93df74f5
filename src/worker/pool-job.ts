import type { NewJob } from '../broker/broker.ts';

/** A job as it crosses into a thread or process: JSON. */
export interface PoolJob {
  /** The name that the job was enqueued by, which may be a former one. */
  readonly task: string;
  readonly jobId: string;
  readonly input: unknown;
  readonly attempt: number;
  readonly enqueuedAt: number;
}

/** What a job in a pool asks of the worker: its thread or process has no connection of its own. */
export interface PoolCalls {
  readonly signal: AbortSignal;
  /** Returns how long the job's code has after the abort, in milliseconds, before it is ended. */
  graceMs(reason: unknown): number;
  /** The job has a thread or process, and begins: its time counts from now. Until now it only waited. */
  onBegin(): void;
  /** Does the last step before the job's code starts. Throws when the code must not start. */
  beforeRun(): void | Promise<void>;
  progress(value: number | object): void;
  send(jobs: NewJob[]): Promise<void>;
}
