import type { Broker, BullmqWorker, Delivery, EndedJob, Outcome } from '../broker/broker.ts';
import { IsletError, ReleasedError } from '../errors.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import { currentJob } from './attempt.ts';
import type { ProcessGate } from './gate.ts';
import { type RunScope, runJob } from './run-job.ts';

export interface Worker {
  readonly queue: string;
  /** BullMQ's Worker of this queue; undefined where no BullMQ is. */
  readonly bullmq: BullmqWorker | undefined;
  /** Jobs whose code runs, and failed ones of which a hook is not yet told. */
  readonly running: number;
  /** Jobs whose code has run here. */
  readonly done: number;
  /** Begins to take jobs. */
  start(): void;
  /** Takes no further job, at once. */
  drain(): void;
  /** Resolves when no job's code is waited for, and all hooks know of the jobs that failed. */
  idle(): Promise<void>;
  /** Tells all running jobs to stop; `idle` follows within about a second, also for code that does not listen. */
  abort(): void;
  /** Gives the stopped jobs back and waits until Redis knows. The process has to end now: their code may still run. */
  close(): Promise<void>;
}

export interface WorkerOptions {
  queue: QueueManifest;
  concurrency: number;
  scope: Omit<RunScope, 'gate' | 'onAbandoned' | 'onEnded'> & { gate: ProcessGate };
  /** The worker has to be replaced. */
  onUnhealthy(error: IsletError): void;
  /** A job's code has run, and its outcome is about to be written. */
  onJobEnd?(): void;
}

/** Tells hooks of the jobs that failed, once that is written; undefined without such hooks. */
function createTelling({ hooks, queue }: Pick<RunScope, 'hooks' | 'queue'>, onTold: () => void) {
  const tell = hooks?.failed;
  if (!tell) return undefined;
  const unwritten = new Set<string>();
  const untold = new Set<EndedJob>();
  return {
    get size() {
      return unwritten.size + untold.size;
    },
    /** The job has failed, and that will be written. */
    expect: (jobId: string) => void unwritten.add(jobId),
    onSettled(job: EndedJob, outcome: Outcome) {
      unwritten.delete(job.jobId);
      if (outcome.kind !== 'failed') return onTold();
      untold.add(job);
      void tell(job, queue.tasks.get(job.task)?.manifest, outcome.failure).finally(() => {
        untold.delete(job);
        onTold();
      });
    },
  };
}

/** Creates what runs the jobs of one queue; it takes none before its `start`. */
export async function createWorker(broker: Broker, options: WorkerOptions): Promise<Worker> {
  const { queue, concurrency, onUnhealthy, onJobEnd } = options;
  const { log, limits, gate } = options.scope;
  const running = new Set<Delivery>();
  const telling = createTelling(options.scope, () => checkIdle());
  const busy = () => running.size + (telling?.size ?? 0);
  let onIdle = () => {};
  const checkIdle = () => {
    if (busy() === 0) onIdle();
  };
  let draining = false;
  let done = 0;
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
  const onEnded = () => {
    done += 1;
    onJobEnd?.();
  };
  const scope: RunScope = { ...options.scope, onAbandoned, onEnded };

  const run = async (delivery: Delivery): Promise<Outcome> => {
    // What a fetch in flight brought after the stop, or beside a job that has to run alone.
    if (draining || gate.closed) return { kind: 'released', counted: false };
    running.add(delivery);
    const outcome = await runJob(delivery, scope);
    if (outcome.kind === 'failed') telling?.expect(delivery.jobId);
    running.delete(delivery);
    checkIdle();
    // Its code may not have listened: it goes back as the last act of this process, so that no two copies run.
    if (outcome.kind === 'released' && outcome.counted) await lastAct;
    return outcome;
  };

  const consuming = broker.consume({
    queue,
    concurrency,
    run,
    onSettled: telling?.onSettled,
    onTrouble: (error) => log.warn({ queue: queue.name, error: error.message }, 'Broker trouble'),
    onRecovered: (jobIds) =>
      log.warn({ queue: queue.name, jobs: jobIds.length, jobIds: jobIds.slice(0, 10) }, 'Jobs recovered'),
    onDead: (error) => onUnhealthy(error),
  });
  gate.add(queue.name, consuming);
  const consumer = await consuming;

  return {
    queue: queue.name,
    bullmq: consumer.worker,
    get running() {
      return busy();
    },
    get done() {
      return done;
    },
    start: () => consumer.start(),
    drain() {
      draining = true;
      consumer.stop();
    },
    idle: () =>
      new Promise((resolve) => {
        onIdle = resolve;
        checkIdle();
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
