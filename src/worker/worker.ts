import type { Broker, Delivery, Outcome } from '../broker/broker.ts';
import { IsletError, ReleasedError } from '../errors.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { ProcessGate } from './gate.ts';
import { currentJob, type RunScope, runJob } from './run-job.ts';

export interface Worker {
  readonly running: number;
  /** Takes no further job, at once. */
  drain(): void;
  /** Resolves when no job's code is waited for. */
  idle(): Promise<void>;
  /** Tells all running jobs to stop; `idle` follows within about a second, also for code that does not listen. */
  abort(): void;
  /** Gives the stopped jobs back and waits until Redis knows. The process has to end now: their code may still run. */
  close(): Promise<void>;
}

export interface WorkerOptions {
  queue: QueueManifest;
  concurrency: number;
  scope: Omit<RunScope, 'gate' | 'onAbandoned'> & { gate: ProcessGate };
  /** The worker has to be replaced. */
  onUnhealthy(error: IsletError): void;
}

/** Starts to run the jobs of one queue. */
export async function startWorker(broker: Broker, options: WorkerOptions): Promise<Worker> {
  const { queue, concurrency, onUnhealthy } = options;
  const { log, limits, gate } = options.scope;
  const running = new Set<Delivery>();
  let onIdle = () => {};
  let draining = false;
  let abandoned = 0;
  let letGo = () => {};
  const lastAct = new Promise<void>((resolve) => {
    letGo = resolve;
  });

  const onAbandoned = (stillRuns: Promise<void>) => {
    abandoned += 1;
    stillRuns.finally(() => {
      abandoned -= 1;
    });
    if (abandoned <= limits.maxAbandoned) return;
    const seen = `${abandoned} jobs of queue "${queue.name}" ignored their signal and still run`;
    onUnhealthy(new IsletError('E_ABANDONED_LIMIT', `${seen}; the limit is ${limits.maxAbandoned}. The worker stops.`));
  };
  const scope: RunScope = { ...options.scope, onAbandoned };

  const run = async (delivery: Delivery): Promise<Outcome> => {
    // What a fetch in flight brought after the stop, or beside a job that has to run alone.
    if (draining || gate.closed) return { kind: 'released', counted: false };
    running.add(delivery);
    const outcome = await runJob(delivery, scope);
    running.delete(delivery);
    if (running.size === 0) onIdle();
    // Its code may not have listened: it goes back as the last act of this process, so that no two copies run.
    if (outcome.kind === 'released' && outcome.counted) await lastAct;
    return outcome;
  };

  const consuming = broker.consume({
    queue,
    concurrency,
    run,
    onTrouble: (error) => log.warn({ queue: queue.name, error: error.message }, 'Broker trouble'),
    onRecovered: (jobIds) =>
      log.warn({ queue: queue.name, jobs: jobIds.length, jobIds: jobIds.slice(0, 10) }, 'Jobs recovered'),
    onDead: (error) => onUnhealthy(error),
  });
  gate.add(queue.name, consuming);
  const consumer = await consuming;

  return {
    get running() {
      return running.size;
    },
    drain() {
      draining = true;
      consumer.stop();
    },
    idle: () =>
      new Promise((resolve) => {
        onIdle = resolve;
        if (running.size === 0) resolve();
      }),
    abort() {
      for (const delivery of running) delivery.abort.abort(new ReleasedError(delivery.jobId));
    },
    close() {
      letGo();
      return consumer.close();
    },
  };
}

/** Fails the job whose code let this error escape, and returns it; nothing when it has none, or had ended already. */
export function failCurrentJob(error: unknown): Delivery | undefined {
  const job = currentJob.getStore();
  return job?.fail(error) ? job.delivery : undefined;
}
