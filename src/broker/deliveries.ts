import { LockLostError } from '../errors.ts';
import type { ConsumeOptions, Outcome } from './broker.ts';
import type { CancelWatch } from './cancel-watch.ts';
import { failUnrun, toEnded } from './ended-job.ts';
import type { Hold, TakenJob } from './locks.ts';
import type { Delivered } from './queue-worker.ts';
import { type SettleScope, settle } from './settle.ts';
import { createToDelivery } from './to-delivery.ts';
import type { WorkerRecords } from './worker-records.ts';

export interface DeliveriesScope extends SettleScope {
  options: ConsumeOptions;
  workerId: string;
  cancels: CancelWatch;
  records: WorkerRecords;
  /** Whether this worker has been told to stop. */
  isStopped(): boolean;
  /** A job is out of this worker's hands. */
  onDropped(): void;
}

/** The jobs of one queue that this worker has: from their fetch until it is written how they ended. */
export class Deliveries {
  readonly #scope: DeliveriesScope;
  readonly #toDelivery: ReturnType<typeof createToDelivery>;

  constructor(scope: DeliveriesScope) {
    this.#scope = scope;
    this.#toDelivery = createToDelivery(scope);
  }

  /** A job was fetched. If it came back while its code still runs here, that run goes on under the new lock. */
  take(job: TakenJob): void {
    const { locks } = this.#scope;
    const known = locks.holds.get(job.id);
    if (!known || known.abort.reason instanceof LockLostError) job.hold = locks.hold(job);
    else if (known.ended) known.again = job;
    else locks.adopt(known, job);
  }

  /** Runs a job that was taken, and writes how it ended. Never rejects. */
  async deliver(job: TakenJob, mayFetch: () => boolean): Promise<Delivered | undefined> {
    if (!job.hold) await this.#dropped(job);
    const { hold } = job;
    if (!hold) return undefined;
    const { options, locks, cancels, onTrouble, onDropped } = this.#scope;
    let written: Outcome = { kind: 'lost' };
    try {
      // The answer lay unread while the process was blocked or frozen, and nobody renewed its lock.
      const late = performance.now() - job.sentAt > options.queue.lockDurationMs / 2;
      if (late && (await locks.takeBack(hold)) !== 'held') return undefined;
      const outcome = await this.#run(job, hold);
      hold.ended = true;
      const settled = await settle(this.#scope, { job, hold, outcome, mayFetch });
      written = settled.outcome;
      if (hold.cancelled) {
        locks.drop(hold);
        cancels.told(job.id);
      }
      return settled;
    } catch (error) {
      onTrouble(error as Error);
      return undefined;
    } finally {
      locks.drop(hold);
      // The job came back after its outcome was written: this is another delivery of it.
      if (hold.again) hold.again.hold = locks.hold(hold.again);
      options.onSettled?.(toEnded(options.queue.name, job), written);
      hold.onDrop?.();
      onDropped();
    }
  }

  /** Waits, when a job came back while the outcome of its last run is written here, until that is done. */
  async #dropped(job: TakenJob): Promise<void> {
    const hold = this.#scope.locks.holds.get(job.id);
    if (hold?.again !== job) return;
    const { onDrop } = hold;
    await new Promise<void>((resolve) => {
      hold.onDrop = () => {
        onDrop?.();
        resolve();
      };
    });
  }

  #run(job: TakenJob, hold: Hold): Outcome | Promise<Outcome> {
    const { isStopped, options, records } = this.#scope;
    // A fetch in flight brought it after the stop.
    if (isStopped()) return { kind: 'released', counted: false };
    if (job.deferredFailure !== undefined) return failUnrun('E_JOB_DEPENDENCIES', job.deferredFailure);
    if (job.payloadProblem !== undefined) {
      const seen = `The stored payload of job "${job.id}" is not JSON: ${job.payloadProblem}`;
      return failUnrun('E_PAYLOAD_INVALID', seen);
    }
    const { crashes } = job.memory;
    if (crashes.length === 0) return options.run(this.#toDelivery(job, hold, []));
    return records.proveCrashes(crashes).then((proven) => options.run(this.#toDelivery(job, hold, proven)));
  }
}
