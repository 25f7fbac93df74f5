import type { Failure, JobFacts, JobMemory, JobPlace, JobToAdd } from '../broker/broker.ts';
import type { JobAbort } from '../job-abort.ts';
import type { JobMeta } from '../manifest/meta.ts';

export type JobState = 'waiting' | 'prioritized' | 'delayed' | 'active' | 'failed' | 'completed' | 'replaced';

/** A job in memory; it stays known after its end. */
export interface MemoryJob {
  readonly id: string;
  readonly task: string;
  /** The payload as JSON, so that what a task does to it does not reach the next attempt. */
  readonly payloadJson: string;
  readonly version: number;
  readonly priority: number | undefined;
  readonly delayMs: number | undefined;
  readonly keepResultMs: number | undefined;
  /** Undefined where it has none. */
  readonly meta: JobMeta | undefined;
  readonly enqueuedAt: number;
  /** When the last delivery began, and when the job has ended. */
  startedAt: number | undefined;
  endedAt: number | undefined;
  state: JobState;
  attemptsMade: number;
  starts: number;
  memory: { -readonly [Field in keyof JobMemory]: JobMemory[Field] };
  /** What the task has reported last, as JSON carries it. */
  progress: unknown;
  /** Why the job has failed. */
  failure: Failure | undefined;
  /** Aborts the delivery that runs now. */
  abort: JobAbort | undefined;
  /** When a delayed job may start. */
  dueAt: number | undefined;
  stopTimer(): void;
}

/** Describes a job beside how it ended. */
export function factsOf({ task, attemptsMade, progress, enqueuedAt, startedAt, endedAt }: MemoryJob): JobFacts {
  return { task, attempts: attemptsMade, progress: structuredClone(progress), enqueuedAt, startedAt, endedAt };
}

/** Makes a job of what a producer hands over. */
export function toJob(job: JobToAdd, now: number): MemoryJob {
  const { id, task, payloadJson, version, priority, delayMs, keepResultMs, meta } = job;
  return {
    ...{ id, task, payloadJson, version, priority, delayMs, keepResultMs, meta },
    enqueuedAt: now,
    startedAt: undefined,
    endedAt: undefined,
    state: 'waiting',
    attemptsMade: 0,
    starts: 0,
    memory: { started: undefined, releases: [], crashes: [], cancel: undefined, unknownSince: undefined, unsettled: 0 },
    progress: undefined,
    failure: undefined,
    abort: undefined,
    dueAt: undefined,
    stopTimer() {},
  };
}

const places: Partial<Record<JobState, JobPlace['at']>> = {
  active: 'running',
  delayed: 'delayed',
  failed: 'ended',
  completed: 'ended',
};

/** Says where a job is; one that is not known any more is gone. */
export function placeOf(job: MemoryJob | undefined): JobPlace['at'] {
  return job ? (places[job.state] ?? 'waiting') : 'gone';
}
