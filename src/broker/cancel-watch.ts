import { setImmediate } from 'node:timers/promises';
import { CancelledError } from '../errors.ts';
import { jobFields, keyNames } from './bullmq-names.ts';
import { cancelJob } from './cancel.ts';
import type { Locks } from './locks.ts';
import { memoryFields } from './memory.ts';
import type { WorkerScope } from './worker-scope.ts';

/** Aborts the jobs of one queue that run here when somebody cancels them. */
export class CancelWatch {
  readonly #scope: WorkerScope;
  readonly #locks: Locks;

  constructor(scope: WorkerScope, locks: Locks) {
    this.#scope = scope;
    this.#locks = locks;
  }

  /** Looks at a job that is said to be cancelled. */
  told(jobId: string): void {
    this.#look(jobId).catch(this.#scope.onTrouble);
  }

  /** Looks at each job that runs here: what was told during an outage did not arrive. */
  lookAtAll(): void {
    for (const jobId of this.#locks.holds.keys()) this.told(jobId);
  }

  async #look(jobId: string): Promise<void> {
    const { queue, workerId } = this.#scope;
    // The answer comes after that of a fetch in flight, so the job is known by then.
    const [reason, fetchedBy] = await queue.client.hmget(queue.key(jobId), memoryFields.cancel, jobFields.worker);
    if (typeof reason !== 'string') return;
    await setImmediate();
    const hold = this.#locks.holds.get(jobId);
    if (hold && !hold.ended) hold.abort.abort(new CancelledError(jobId, reason));
    else if (hold) hold.cancelled = true;
    else if (fetchedBy === workerId) await this.#endDelayed(jobId, reason);
  }

  /** Ends a job that was cancelled while it was settled here, perhaps as a retry that would only end when it is due. */
  async #endDelayed(jobId: string, reason: string): Promise<void> {
    const { queue } = this.#scope;
    const isDelayed = (await queue.client.zscore(queue.key(keyNames.delayed), jobId)) !== null;
    if (isDelayed) await cancelJob(queue, jobId, reason);
  }
}
