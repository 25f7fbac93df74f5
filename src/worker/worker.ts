import type { Broker, BullmqWorker, Consumer, Delivery, EndedJob, Outcome } from '../broker/broker.ts';
import { IsletError, ReleasedError } from '../errors.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { RunScope } from './attempt.ts';
import { defer } from './deferred.ts';
import type { Gate } from './gate.ts';
import { runJob } from './run-job.ts';
import { UnknownTasks } from './unknown-tasks.ts';

export interface WorkerOptions {
  queue: QueueManifest;
  concurrency: number;
  scope: Omit<RunScope, 'gate' | 'onAbandoned' | 'onEnded' | 'onPostponed'> & { gate: Gate };
  /** Called when the worker has to be replaced. */
  onUnhealthy(error: IsletError): void;
  /** Called when a job's code has run, just before its outcome is written. */
  onJobEnd?(): void;
}

/** What Redis says, or Islet of a job, needs no stack; what failed in code does. */
function tellTrouble(error: Error) {
  const isSaid = error instanceof IsletError || error.name === 'ReplyError';
  return { error: error.message, ...(isSaid ? {} : { stack: error.stack }) };
}

/** Runs the jobs of one queue. */
export class Worker {
  readonly queue: string;
  readonly #options: WorkerOptions;
  readonly #scope: RunScope;
  readonly #running = new Set<Delivery>();
  /** The failed jobs of which a hook has still to be told; their ids, until it is written that they failed. */
  readonly #untold = new Set<EndedJob | string>();
  #consumer: Consumer | undefined;
  #draining = false;
  #abandoned = 0;
  #onIdle = () => {};
  /** Resolves when jobs whose code may not have stopped can go back. */
  readonly #lastAct = defer();
  /** The number of jobs whose code has run here. */
  done = 0;

  constructor(options: WorkerOptions) {
    this.queue = options.queue.name;
    this.#options = options;
    const { queue, limits, log } = options.scope;
    const unknown = new UnknownTasks(queue.tasks, limits.unknownTaskDeadlineMs, log);
    this.#scope = {
      ...options.scope,
      onPostponed: (delivery) => unknown.tell(delivery),
      onAbandoned: (stillRuns) => this.#countAbandoned(stillRuns),
      onEnded: () => {
        this.done += 1;
        options.onJobEnd?.();
      },
    };
  }

  /** BullMQ's Worker of this queue; undefined where no BullMQ is. */
  get bullmq(): BullmqWorker | undefined {
    return this.#consumer?.worker;
  }

  /** The jobs whose code runs, and the failed ones of which a hook has still to be told. */
  get running(): number {
    return this.#running.size + this.#untold.size;
  }

  /** Connects to the queue, where the broker makes BullMQ's Worker. No job is taken before `start`. */
  async connect(broker: Broker): Promise<void> {
    const { queue, concurrency, onUnhealthy, scope } = this.#options;
    const consuming = broker.consume({
      queue,
      concurrency,
      run: (delivery) => this.#run(delivery),
      onSettled: scope.hooks?.failed && ((job, outcome) => this.#tellIfFailed(job, outcome)),
      onNotice: (notice) => scope.log.warn({ queue: queue.name, notice }, 'Queue in Redis'),
      onTrouble: (error) => scope.log.warn({ queue: queue.name, ...tellTrouble(error) }, 'Broker trouble'),
      onRecovered: (jobIds) =>
        scope.log.warn({ queue: queue.name, jobs: jobIds.length, jobIds: jobIds.slice(0, 10) }, 'Jobs recovered'),
      onDead: onUnhealthy,
    });
    scope.gate.add(queue.name, consuming);
    this.#consumer = await consuming;
  }

  start(): void {
    this.#consumer?.start();
  }

  drain(): void {
    this.#draining = true;
    this.#consumer?.stop();
  }

  /** Resolves when nobody waits for a job's code any more, and all hooks know of the jobs that failed. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#checkIdle();
    });
  }

  /** Tells all running jobs to stop; `idle` follows within about a second, also for code that does not listen. */
  abort(): void {
    for (const delivery of this.#running) delivery.abort.abort(new ReleasedError(delivery.jobId));
  }

  /** Gives the stopped jobs back and waits until Redis knows. The process has to end now: their code may still run. */
  async close(): Promise<void> {
    this.#lastAct.resolve();
    await this.#consumer?.close();
  }

  async #run(delivery: Delivery): Promise<Outcome> {
    // A fetch in flight may bring a job after the stop, or beside a job that has to run alone.
    if (this.#draining || this.#options.scope.gate.isTaken) return { kind: 'released', counted: false };
    this.#running.add(delivery);
    const outcome = await runJob(delivery, this.#scope);
    if (outcome.kind === 'failed' && this.#scope.hooks?.failed) this.#untold.add(delivery.jobId);
    this.#running.delete(delivery);
    this.#checkIdle();
    // The job's code may have ignored its signal, so the job goes back as the last act of this process: no two copies
    // run.
    if (outcome.kind === 'released' && outcome.counted) await this.#lastAct.promise;
    return outcome;
  }

  /** Tells the hooks of a job that failed, now that this is written. */
  #tellIfFailed(job: EndedJob, outcome: Outcome) {
    const { hooks, queue } = this.#scope;
    this.#untold.delete(job.jobId);
    if (outcome.kind !== 'failed' || !hooks?.failed) return this.#checkIdle();
    this.#untold.add(job);
    void hooks.failed(job, queue.tasks.get(job.task)?.manifest, outcome.failure).finally(() => {
      this.#untold.delete(job);
      this.#checkIdle();
    });
  }

  #checkIdle(): void {
    if (this.running === 0) this.#onIdle();
  }

  #countAbandoned(stillRuns: Promise<void>): void {
    const { maxAbandoned } = this.#scope.limits;
    this.#abandoned += 1;
    stillRuns.finally(() => {
      this.#abandoned -= 1;
    });
    if (this.#abandoned <= maxAbandoned) return;
    const seen = `${this.#abandoned} jobs of queue "${this.queue}" ignored their signal and still run`;
    const error = new IsletError('E_ABANDONED_LIMIT', `${seen}; the limit is ${maxAbandoned}. The worker stops.`);
    this.#options.onUnhealthy(error);
  }
}
