import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Job,
  type JobJson,
  type JobProgress,
  type Span,
  SpanKind,
  TelemetryAttributes,
  Worker,
  type WorkerListener,
} from 'bullmq';
import type { Redis } from 'ioredis';
import type { Outcome } from './broker.ts';
import type { FetchedJob } from './bullmq-internals.ts';
import { type BackendHost, JobBackend, type NextJob } from './job-backend.ts';
import { mostWaitSeconds } from './job-wait.ts';
import type { Hold } from './locks.ts';
import { isAnswer } from './refusals.ts';
import type { WorkerParts } from './worker-scope.ts';

/** How a delivery ended, and what was fetched with the command that wrote this: perhaps a job, locked for `token`. */
export interface Delivered {
  readonly outcome: Outcome;
  readonly next?: NextJob | undefined;
  readonly token: string;
}

/** Runs the jobs that BullMQ's loop hands to a Worker. */
interface QueueWorkerHost extends Pick<BackendHost, 'onFetched'> {
  /** Runs a job and writes how it ended; `undefined` when another delivery of it goes on here. Never rejects. */
  deliver(job: FetchedJob, mayFetch: () => boolean): Promise<Delivered | undefined>;
  holds(): ReadonlyMap<string, Hold>;
}

type Listener = WorkerListener<unknown, unknown, string, JobProgress>;
type BullmqJob = Job<unknown, unknown, string, JobProgress>;

/**
 * How often BullMQ is asked to make the next job of a scheduler, and how long the worker waits before it asks again.
 */
const schedulerTries = 10;
const schedulerWaitMs = 1_000;

/**
 * BullMQ's Worker for one queue, driven by BullMQ's own loop. Islet runs the jobs, keeps their locks and writes how they
 * ended: a plain Worker runs a job again when Redis did not take its end at once.
 */
export class QueueWorker extends Worker<unknown, unknown, string, JobBackend, JobProgress, Redis> {
  readonly #host: QueueWorkerHost;
  readonly #now: () => number;
  readonly #outside = AsyncLocalStorage.snapshot();
  /** Jobs of schedulers for which Redis refused to make the next job. */
  readonly #unscheduled = new WeakSet<object>();
  /** What Redis refused last, and whether that is why a scheduler's next job was not made. */
  #refusal = '';
  #wasRefused = false;
  #started = false;
  /** BullMQ takes the queue for empty until it gets a job in its own way. */
  #seemsEmpty = true;
  /** BullMQ's Jobs, made for those who listen to events. */
  readonly #jobs = new WeakMap<object, BullmqJob>();

  /** `blocking` waits for jobs, and is closed with the Worker. */
  constructor({ queue, options }: WorkerParts, blocking: Redis, host: QueueWorkerHost) {
    const backendHost = {
      onFetched: host.onFetched,
      onDrained: () => void super.emit('drained'),
      onTrouble: (error: unknown) => void this.emit('error', error as Error),
    };
    super(
      queue.place.name,
      // BullMQ starts its loop only with a processor, and never calls this one: `processJob` takes its place.
      async () => {},
      {
        connection: queue.client,
        prefix: queue.place.prefix,
        concurrency: options.concurrency,
        lockDuration: options.queue.lockDurationMs,
        drainDelay: mostWaitSeconds,
        runRetryDelay: schedulerWaitMs,
        autorun: false,
        skipLockRenewal: true,
        skipStalledCheck: true,
      },
      (_name, bullmqOptions) => new JobBackend(queue, blocking, backendHost, bullmqOptions),
    );
    this.#host = host;
    this.#now = () => queue.clock.now();
    // BullMQ stores this name in each job as its worker's, also in a job that is fetched with the end of another.
    this.opts.name = this.id;
  }

  get room(): number {
    if (this.closing || this.isPaused() || !this.#started || this.backend.wait.isIsolated) return 0;
    return this.concurrency - this.#host.holds().size;
  }

  override run(): Promise<void> {
    if (!this.#started) process.nextTick(() => super.emit('ready'));
    this.#started = true;
    // A hook may resume the worker. The jobs must not run in the async context of that hook.
    return this.#outside(() => super.run());
  }

  /** Also ends a wait for a job, because a mark that came during the pause would be lost to other workers. */
  override pause(doNotWaitActive?: boolean): Promise<void> {
    this.backend.wait.interrupt();
    return super.pause(doNotWaitActive);
  }

  /** Holds back `drained`, which may only mean a pause, `ready`, which comes too early, and `active`, without a Job. */
  override emit<Event extends keyof Listener>(event: Event, ...args: Parameters<Listener[Event]>): boolean {
    if (event === 'error') this.#noteRefusal(args[0] as Error);
    return event !== 'drained' && event !== 'ready' && event !== 'active' && super.emit(event, ...args);
  }

  /** Hears why the next job of a scheduler was not made: BullMQ tells the error, and then once more in a sentence. */
  #noteRefusal(error: Error): void {
    if (isAnswer(error)) this.#refusal = error.message;
    else this.#wasRefused = this.#refusal !== '' && error.message.endsWith(this.#refusal);
  }

  /** Lets BullMQ's loop carry what was fetched: to make a Job takes longer than all else between two jobs. */
  protected override createJob(json: JobJson): BullmqJob {
    return json as unknown as BullmqJob;
  }

  #jobOf(fetched: FetchedJob): BullmqJob {
    const json = { ...fetched, data: '{}', progress: fetched.progress ?? 0, returnvalue: undefined as never };
    const job = this.#jobs.get(fetched) ?? Job.fromJSON(this, json, fetched.id);
    job.data = fetched.data;
    job.token = fetched.token;
    this.#jobs.set(fetched, job);
    return job;
  }

  /** Tells an event to those who listen. What they throw concerns no job. */
  #tell(event: 'active' | 'completed' | 'failed', tell: () => void): void {
    if (this.listenerCount(event) === 0) return;
    try {
      tell();
    } catch (error) {
      this.emit('error', error as Error);
    }
  }

  protected override moveToActive(token: string, name?: string) {
    // BullMQ asks once more after a wait that was ended by a pause.
    if (this.isPaused() || this.closing) return Promise.resolve(undefined as never);
    return super.moveToActive(token, name);
  }

  /** Keeps the last job of a scheduler, which BullMQ drops when it cannot make the next one. */
  protected override async nextJobFromJobData(json?: JobJson, jobId?: string, token?: string): Promise<BullmqJob> {
    this.#seemsEmpty = !json;
    const job = await super.nextJobFromJobData(json, jobId, token);
    if (job || !json) return job;
    // Options that BullMQ does not take will not be taken later either.
    if (this.#wasRefused) this.#unscheduled.add(json);
    return this.createJob(json);
  }

  /** Tries again to make the next job of a scheduler, which would otherwise have ended for good. */
  async #scheduleAgain(fetched: FetchedJob): Promise<void> {
    for (let tries = 1; tries < schedulerTries && !this.closing; tries++) {
      await sleep(schedulerWaitMs);
      if (await super.nextJobFromJobData(fetched as unknown as JobJson, fetched.id, fetched.token)) return;
    }
  }

  /** Traces work, and does it whatever the tracer does. */
  override async trace<T>(
    kind: SpanKind,
    name: string,
    of: string,
    work: (span?: Span, destination?: string) => T | Promise<T>,
    metadata?: string,
  ): Promise<Awaited<T>> {
    if (!this.opts.telemetry) return await work();
    let working: T | Promise<T> | undefined;
    // BullMQ looks at the number of parameters.
    const once = (span?: Span, destination?: string) => {
      working ??= Promise.resolve(work(span, destination));
      return working;
    };
    try {
      return await super.trace(kind, name, of, once, metadata);
    } catch (error) {
      const own = await Promise.resolve(working).catch((failure) => failure);
      if (error !== own) this.emit('error', error as Error);
      return await once();
    }
  }

  /** Never rejects. */
  override processJob(job: BullmqJob, _token: string, mayFetch: () => boolean = () => true) {
    if (!this.opts.telemetry) return this.#process(job, mayFetch);
    const work = (span?: Span) => {
      span?.setAttributes({
        [TelemetryAttributes.WorkerId]: this.id,
        [TelemetryAttributes.JobId]: job.id ?? '',
        [TelemetryAttributes.JobName]: job.name,
      });
      return this.#process(job, mayFetch);
    };
    return this.trace(SpanKind.CONSUMER, 'process', this.name, work, job.opts.telemetry?.metadata);
  }

  async #process(job: BullmqJob, mayFetch: () => boolean): Promise<BullmqJob | undefined> {
    const fetched = job as unknown as FetchedJob;
    if (this.#unscheduled.has(fetched)) await this.#scheduleAgain(fetched);
    this.#tell('active', () => super.emit('active', this.#jobOf(fetched), 'waiting'));
    const mayFetchNow = () => mayFetch() && this.backend.isOpen && !this.isPaused() && !this.closing;
    const ended = await this.#host.deliver(fetched, mayFetchNow);
    if (!ended) return undefined;
    this.#tellEnd(fetched, ended.outcome);
    if (!ended.next) return undefined;
    const [next] = ended.next;
    // BullMQ's own path would do no more than this with a job that was fetched with the end of another.
    if (next && !this.#seemsEmpty && next.repeatJobKey === undefined) return this.createJob(next);
    this.backend.came = ended.next;
    return super.moveToActive(ended.token, this.id);
  }

  #tellEnd(fetched: FetchedJob, outcome: Outcome): void {
    const isCompleted = outcome.kind === 'completed';
    if (!isCompleted && !('failure' in outcome)) return;
    this.#tell(isCompleted ? 'completed' : 'failed', () => {
      const job = this.#jobOf(fetched);
      job.attemptsMade = fetched.attemptsMade + 1;
      if (outcome.kind !== 'retry') job.finishedOn = this.#now();
      if (isCompleted) {
        job.returnvalue = outcome.resultJson === undefined ? undefined : JSON.parse(outcome.resultJson);
        this.emit('completed', job, job.returnvalue, 'active');
      } else {
        const { causeName: name, causeMessage, stack } = outcome.failure;
        job.failedReason = causeMessage;
        this.emit('failed', job, Object.assign(new Error(causeMessage), { name, stack }), 'active');
      }
    });
  }

  override cancelJob(jobId: string, reason?: string): boolean {
    const hold = this.#host.holds().get(jobId);
    return hold?.cancel(reason ?? 'BullMQ was asked to') ?? false;
  }

  override cancelAllJobs(reason?: string): void {
    for (const jobId of [...this.#host.holds().keys()]) this.cancelJob(jobId, reason);
  }

  override close(force?: boolean): Promise<void> {
    this.backend.wait.stop();
    return super.close(force);
  }
}
