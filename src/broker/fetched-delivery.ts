import { CancelledError } from '../errors.ts';
import type { JobAbort } from '../job-abort.ts';
import type { Crash, Delivery, JobMemory } from './broker.ts';
import type { FetchedJob } from './bullmq-internals.ts';
import { readStamp } from './job-options.ts';
import type { Hold } from './locks.ts';
import { writeFence } from './scripts.ts';
import type { WorkerScope } from './worker-scope.ts';

/** Hands a fetched job to the worker; one that was cancelled meanwhile arrives aborted. */
export class FetchedDelivery implements Delivery {
  readonly queue: string;
  readonly task: string;
  readonly jobId: string;
  readonly input: unknown;
  readonly version: number | undefined;
  readonly keepResultMs: number | undefined;
  readonly memory: JobMemory;
  readonly enqueuedAt: number;
  readonly attempt: number;
  readonly abort: JobAbort;
  readonly #hold: Hold;
  readonly #scope: WorkerScope;

  constructor(job: FetchedJob, hold: Hold, crashes: Crash[], scope: WorkerScope) {
    const { version, keepResultMs } = readStamp(job.opts);
    if (job.memory.cancel !== undefined) hold.abort.abort(new CancelledError(job.id, job.memory.cancel));
    this.queue = scope.queue.name;
    this.task = job.name;
    this.jobId = job.id;
    this.input = job.data;
    this.version = version;
    this.keepResultMs = keepResultMs;
    this.memory = { ...job.memory, crashes };
    this.enqueuedAt = job.timestamp;
    this.attempt = job.attemptsMade + 1;
    this.abort = hold.abort;
    this.#hold = hold;
    this.#scope = scope;
  }

  reportProgress(value: number | object): Promise<void> {
    return this.#scope.backend.updateProgress(this.jobId, value);
  }

  async markStarted(): Promise<boolean> {
    const { queue, workerId } = this.#scope;
    const { jobId, starts, token } = this.#hold;
    return (await queue.run(writeFence, [token, `${workerId}:${starts}`], jobId)) === 1;
  }
}
