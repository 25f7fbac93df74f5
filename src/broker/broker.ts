import type { Worker as BullmqWorker } from 'bullmq';
import type { IsletError, TaskFailure } from '../errors.ts';
import type { JobAbort } from '../job-abort.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';
import type { QueueRef } from './keys.ts';

export type { BullmqWorker, QueueRef };

/** What a task's failure becomes on its way through Redis. */
export interface Failure extends TaskFailure {
  /** For the failed job's record. */
  readonly stack: string;
}

/** How a delivery ended. `worker/outcome.ts` makes most outcomes, and `broker/settle.ts` writes them to Redis. */
export type Outcome =
  /** `isShown`: the result is for BullMQ's tools, too. */
  | { kind: 'completed'; resultJson: string | undefined; keepResultMs?: number; isShown?: boolean }
  /** `crashed`: the job ended its thread or process of a pool, which counts as a crash of this job alone. */
  | { kind: 'retry'; failure: Failure; delayMs: number; crashed?: boolean }
  /** `unrun`: no code of the job has run, so it is kept even where its own options remove failed jobs. */
  | { kind: 'failed'; failure: Failure; keepResultMs?: number; unrun?: true }
  | { kind: 'cancelled'; failure: Failure; keepResultMs?: number }
  | { kind: 'snoozed'; delayMs: number }
  | { kind: 'rateLimited'; delayMs: number }
  | { kind: 'postponed'; delayMs: number; unknownSince: number }
  /** `counted` is false when the task's code had not started. */
  | { kind: 'released'; counted: boolean }
  | { kind: 'lost' };

/** A delivery that ended because its worker, or its thread or process of a pool, died. */
export interface Crash {
  /** When the crash was found, in milliseconds since 1970. */
  readonly at: number;
  readonly worker: string;
  /**
   * `culprit`: the job ended its worker. `suspect`: the job ran when its worker died. `unit`: the job ended only its
   * own thread or process.
   */
  readonly blame: 'culprit' | 'suspect' | 'unit';
}

/** What Islet remembers of a job between its deliveries, in fields of the job's hash. Times are in ms since 1970. */
export interface JobMemory {
  /** The delivery that wrote the at-most-once fence. */
  readonly started: string | undefined;
  /** When workers that stopped gave the job back, oldest first. */
  readonly releases: readonly number[];
  /** Proven crashes, oldest first; a worker that only froze, or was cut off from Redis, did not crash. */
  readonly crashes: readonly Crash[];
  /** Why the job was cancelled. */
  readonly cancel: string | undefined;
  /** When a worker first did not know the task or its version. */
  readonly unknownSince: number | undefined;
  /** How often a delivery ended without an outcome although its worker lives. */
  readonly unsettled: number;
}

/** What the options of a plain BullMQ producer ask for; anything may stand there. */
export interface JobRetries {
  readonly attempts: unknown;
  readonly backoff: unknown;
}

/** One hand-over of a job to this worker. */
export interface Delivery {
  readonly queue: string;
  readonly task: string;
  readonly jobId: string;
  readonly input: unknown;
  /** The manifest version of the producer; undefined for jobs of a plain BullMQ producer. */
  readonly version: number | undefined;
  readonly memory: JobMemory;
  /** When the job was made, in milliseconds since 1970; the same in every delivery. */
  readonly enqueuedAt: number;
  /** When this worker was given the job, by the same clock. */
  readonly startedAt: number;
  /** What the producer sent beside the payload, checked and frozen. */
  readonly meta: JobMeta;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  /** Somebody has put the job back after its end, by a tool of BullMQ's: this run is its first one again. */
  readonly wasPutBack?: boolean;
  /** Undefined for jobs of Islet's own producer. */
  readonly retries?: JobRetries | undefined;
  /** Set by a producer that asked to keep this job's result. */
  readonly keepResultMs: number | undefined;
  /** Aborted by the broker with a LockLostError or CancelledError, by the worker on time-out and at its stop. */
  readonly abort: JobAbort;
  reportProgress(value: number | object): Promise<void>;
  /** Writes the at-most-once fence. Returns false when this delivery must not run: another one may have started. */
  markStarted(): Promise<boolean>;
}

/** A job whose delivery to this worker is over. */
export type EndedJob = Pick<
  Delivery,
  'queue' | 'task' | 'jobId' | 'attempt' | 'input' | 'meta' | 'enqueuedAt' | 'startedAt'
>;

/** Takes the jobs of one queue and hands each of them to `run`. */
export interface Consumer {
  /** BullMQ's own Worker, which drives this; undefined where no BullMQ is, as in tests without Redis. */
  readonly worker?: BullmqWorker;
  start(): void;
  /**
   * Takes no further job until `rejoin`, and resolves when no delivery is left but that of `jobId`, or at the stop. From
   * then on a crash of this process is charged to that job alone.
   */
  isolate(jobId?: string): Promise<void>;
  /** Takes jobs again; `jobId`, unless it is given back, is suspected no more. */
  rejoin(jobId?: string): Promise<void>;
  /** Takes no further job for good; what a fetch in flight still brings goes back. */
  stop(): void;
  /** Stops, and resolves when all deliveries have been settled. May be called twice. */
  close(): Promise<void>;
}

export interface ConsumeOptions {
  queue: QueueManifest;
  concurrency: number;
  /** Never throws: whatever happens to a delivery is an outcome. */
  run(delivery: Delivery): Promise<Outcome>;
  /** Called when a delivery is over, also without `run`, with what was written or `lost`. Never throws. */
  onSettled?(job: EndedJob, outcome: Outcome): void;
  /** Called with what the operator should know of where the queue is in Redis. */
  onNotice?(notice: string): void;
  /** Called once per trouble that concerns no single job. */
  onTrouble(error: Error): void;
  /** Called when jobs went back into the queue because their worker is dead, frozen or cut off. */
  onRecovered(jobIds: string[]): void;
  /** Called when the worker can fetch no more and cannot mend that: it has to be replaced. */
  onDead(error: IsletError): void;
}

/** One job as it goes into Redis: parsed, sized and named already. */
export interface NewJob {
  task: string;
  queue: string;
  /** The queue of BullMQ that the queue is, where it is an existing one. */
  bullmq?: QueueManifest['bullmq'];
  /** What a plain worker of that queue has to know: Islet's own read it in their manifest. */
  retries?: Pick<AnyTask, 'attempts' | 'backoff'>;
  id: string;
  payloadJson: string;
  version: number;
  delayMs?: number;
  priority?: number;
  keepResultMs?: number;
  /** Undefined where it has none. */
  meta?: JobMeta | undefined;
  /** How many milliseconds the id stands for this job, also after the job has ended and was removed. */
  idempotencyMs?: number;
  /** Replaces `idempotencyMs`: while the key counts, jobs of one task and one key are one job. */
  dedupe?: { key: string; mode: 'simple' | 'throttle' | 'debounce'; ttlMs?: number };
}

/** What is told of a job beside how it ended. Times are in milliseconds since 1970. */
export interface JobFacts {
  task?: string | undefined;
  /** How many attempts have ended. */
  attempts?: number | undefined;
  progress?: unknown;
  enqueuedAt?: number | undefined;
  /** When its last delivery began. */
  startedAt?: number | undefined;
  endedAt?: number | undefined;
}

/** What stands under a job's result key. Earlier versions wrote no facts beside it, or only the task. */
export type StoredResult = JobFacts & ({ ok: true; result?: unknown } | ({ ok: false } & TaskFailure));

/** A job as a producer hands it over. */
export interface JobToAdd extends NewJob {
  /** The caller chose the id, so another job may have it: Redis is asked, with a few more commands in the same round trip. */
  ownId?: boolean;
}

/**
 * What became of a job: the id of the one that stands for it, with the task of that one where another enqueue made it, or
 * why it was not confirmed.
 */
export type Added = { id: string; accepted: boolean; task?: string | undefined } | { error: unknown };

/**
 * Where a job to cancel was found. `waiting`: it has ended as cancelled. `running`: its worker has aborted it, and it ends
 * as cancelled. `asked`: it is a worker's, which has not answered yet. `finished`: it ended otherwise before that, and was
 * left alone. `nowhere`: the queue does not have it.
 */
export type CancelFound = 'waiting' | 'running' | 'asked' | 'finished' | 'nowhere';

export interface CancelRequest {
  readonly reason: string;
  /** The names of the task whose job it has to be; the first is its own. */
  readonly task?: readonly [string, ...string[]] | undefined;
}

/** Where a job is whose result does not come, and what holds its queue up. */
export interface JobPlace {
  /** `ended` and `gone`: it has ended, and nobody kept its result, or no longer. `children`: it waits for those of its flow. */
  at: 'waiting' | 'delayed' | 'running' | 'children' | 'ended' | 'gone';
  isPaused: boolean;
  /** For so many milliseconds, the queue gives no job. */
  limitedMs: number;
  dueInMs: number;
  /** Undefined where that cannot be told. */
  workers: number | undefined;
}

export type QueueCounts = Record<'waiting' | 'active' | 'delayed' | 'prioritized' | 'failed' | 'completed', number>;

/** Where a job is, in BullMQ's words. `waiting-children`: it waits for the other jobs of its BullMQ flow. */
export type JobState = keyof QueueCounts | 'waiting-children';

/** A job as a queue has it, or as its kept result tells of it. */
export interface FoundJob extends JobFacts {
  queue: string;
  state: JobState;
  /** Is there, if only as undefined, where the job is completed and its result is kept. */
  result?: unknown;
  /** Why it failed. */
  failure?: { code: string; message: string } | undefined;
}

/** The broker as a producer sees it. */
export interface ProducerBroker {
  /** Waits until jobs can be added. Throws `E_REDIS_UNREACHABLE` (nothing was sent) and `E_PRODUCER_CLOSED`. */
  ready(): Promise<void>;
  /** Adds jobs of one queue at once, and says of each what became of it, within `limitMs` milliseconds. Never rejects. */
  add(jobs: readonly JobToAdd[], limitMs: number): Promise<Added[]>;
  /** Names the queues that have a job of this id, completed ones excepted. */
  findQueues(jobId: string): Promise<QueueRef[]>;
  /** Cancels a job. Throws `E_JOB_ID_TAKEN`. */
  cancel(queue: string | QueueRef, jobId: string, request: CancelRequest): Promise<CancelFound>;
  /**
   * Finds the jobs of an id: in one queue, or in all that were ever used. A queue that is given by its name is looked for
   * among these. An id that no job can have finds none.
   */
  findJobs(jobId: string, queue: string | QueueRef | undefined): Promise<FoundJob[]>;
  /**
   * Waits for a job's stored result, at most `timeoutMs` milliseconds, and tells the job's progress meanwhile: perhaps the
   * same twice, and perhaps when the wait is over. Throws `E_PRODUCER_CLOSED`.
   */
  awaitResult(
    queue: QueueRef,
    jobId: string,
    timeoutMs: number,
    onProgress?: (progress: unknown) => void,
  ): Promise<StoredResult | undefined>;
  /** Looks where a job is; undefined where that is not answered soon. Never rejects. */
  findPlace(queue: QueueRef, jobId: string): Promise<JobPlace | undefined>;
  /** A queue that is given by its name is looked for among all that were ever used. */
  counts(queue: string | QueueRef): Promise<QueueCounts>;
  /** Counts the workers that are connected to the same database. */
  workers(queue: string | QueueRef): Promise<number>;
  /** Tells whether a job of which the broker said this may be in. */
  mayBeDone(error: unknown): boolean;
  /** Turns what the broker said into an error of Islet's. */
  explain(error: unknown): IsletError;
  /** Ends all waits for results with `E_PRODUCER_CLOSED`. May be called twice. */
  close(): Promise<void>;
}

/** The broker as a worker sees it. */
export interface Broker {
  readonly description: string;
  /** Returns the time by which all workers agree, in milliseconds since 1970. */
  now(): number;
  /** Creates the consumer of one queue. The consumer takes no job before `start`. */
  consume(options: ConsumeOptions): Promise<Consumer>;
  send(jobs: NewJob[]): Promise<void>;
  /**
   * Has the guard end the process at this time, in milliseconds since 1970, if the event loop is blocked then. Returns
   * the time that counts, which is earlier when the process was asked to stop while it was blocked.
   */
  exitBy(epochMs: number): number;
  /** Gives back at once what dead workers left, where this process can prove that they are dead. */
  recoverDead(): Promise<void>;
  close(): Promise<void>;
}
