import type { QueueManifest } from '../manifest/define-queue.ts';

/** What a task's failure becomes on its way through Redis. */
export interface Failure {
  code: string;
  causeName: string;
  causeMessage: string;
  /** For the failed job's record; already without redacted values. */
  stack: string;
}

/** How a delivery ended. Made in worker/outcome.ts, settled in broker/settle.ts. */
export type Outcome =
  | { kind: 'completed'; resultJson: string | undefined; keepResultMs?: number }
  | { kind: 'retry'; failure: Failure; delayMs: number }
  | { kind: 'failed'; failure: Failure; keepResultMs?: number }
  | { kind: 'released' }
  | { kind: 'lost' };

/** One hand-over of a job to this worker. */
export interface Delivery {
  readonly queue: string;
  readonly task: string;
  readonly jobId: string;
  readonly input: unknown;
  /** When the job was made, in milliseconds since 1970; the same in every delivery. */
  readonly enqueuedAt: number;
  /** Numbered from 1. */
  readonly attempt: number;
  /** Set by a producer that asked to keep this job's result. */
  readonly keepResultMs: number | undefined;
  /** Aborted by the broker when the lock is lost, by the worker on time-out and at its stop. */
  readonly abort: AbortController;
  reportProgress(value: number | object): Promise<void>;
}

export interface Consumer {
  /** Takes no new job; resolves when the running ones have been settled. May be called twice. */
  close(): Promise<void>;
}

export interface ConsumeOptions {
  queue: QueueManifest;
  concurrency: number;
  /** Never throws: whatever happens to a delivery is an outcome. */
  run(delivery: Delivery): Promise<Outcome>;
  /** Trouble that concerns no single job, such as a lost connection. */
  onTrouble(error: Error): void;
}

/** One job as it goes into Redis: parsed, sized and named already. */
export interface NewJob {
  task: string;
  queue: string;
  id: string;
  payload: unknown;
  version: number;
  delayMs?: number;
  priority?: number;
  keepResultMs?: number;
  /** The id stands for this job for so long, also after the job is done and gone. */
  idempotencyMs?: number;
}

/** What carries jobs, seen by a worker. */
export interface Broker {
  readonly description: string;
  consume(options: ConsumeOptions): Promise<Consumer>;
  send(jobs: NewJob[]): Promise<void>;
  close(): Promise<void>;
}
