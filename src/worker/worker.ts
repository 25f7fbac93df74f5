import type { Broker, Consumer, Delivery, Outcome } from '../broker/broker.ts';
import { ReleasedError } from '../errors.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import { currentJob, type RunScope, runJob } from './run-job.ts';

export interface Worker {
  readonly running: number;
  /** Takes no new job and lets the running ones finish. May be called twice. */
  drain(): Promise<void>;
  /** Gives every running job back, for another worker to run. */
  release(): Promise<void>;
}

/** Starts to run the jobs of one queue. */
export async function startWorker(
  broker: Broker,
  queue: QueueManifest,
  concurrency: number,
  scope: RunScope,
): Promise<Worker> {
  const running = new Set<Delivery>();
  let draining = false;
  const giveBack = (delivery: Delivery) => delivery.abort.abort(new ReleasedError(delivery.jobId));

  const run = async (delivery: Delivery): Promise<Outcome> => {
    // The blocking fetch may still bring one job after the stop began.
    if (draining) return { kind: 'released' };
    running.add(delivery);
    try {
      return await runJob(delivery, scope);
    } finally {
      running.delete(delivery);
    }
  };
  const onTrouble = (error: Error) => scope.log.warn({ queue: queue.name, error: error.message }, 'Broker trouble');
  const consumer: Consumer = await broker.consume({ queue, concurrency, run, onTrouble });

  return {
    get running() {
      return running.size;
    },
    drain() {
      draining = true;
      return consumer.close();
    },
    async release() {
      draining = true;
      const closed = consumer.close();
      for (const delivery of running) giveBack(delivery);
      await closed;
    },
  };
}

/** Fails the job whose code let this error escape, and returns it; nothing when it has none, or had ended already. */
export function failCurrentJob(error: unknown): Delivery | undefined {
  const job = currentJob.getStore();
  return job?.fail(error) ? job.delivery : undefined;
}
