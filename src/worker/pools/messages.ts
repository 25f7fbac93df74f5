import type { Delivery, NewJob } from '../../broker/broker.ts';
import type { CarriedError } from './carried-error.ts';

/** What a unit, a thread or process of a pool, is started with. */
export interface UnitOrder {
  readonly queue: string;
  /** The name in the task's manifest. */
  readonly task: string;
  readonly maxJobs: number;
  readonly maxMemoryMb: number;
  /** Above so many megabytes, the unit asks to be replaced after a job. */
  readonly replaceAboveMb: number;
  /** The process id of the worker, for a unit that is a process itself. */
  readonly parent: number | undefined;
}

/** A job as it crosses into a unit. Its `task` may be a former name. */
export type UnitJob = Pick<Delivery, 'task' | 'jobId' | 'attempt' | 'enqueuedAt' | 'meta'> & {
  /** The payload, written as it was on its way to Redis: `JSON.stringify` would make a 0 of a -0. */
  readonly inputJson: string;
};

export type ToUnit =
  | { readonly say: 'run'; readonly job: UnitJob }
  | { readonly say: 'abort'; readonly reason: CarriedError }
  /** Answers `start` and `send`: without an error, the code may start, or the jobs have been sent. */
  | { readonly say: 'answer'; readonly id: number; readonly error?: CarriedError }
  | { readonly say: 'close' };

/** What a unit says to its worker. `run` numbers the unit's jobs from 1: what one says may arrive when it has ended. */
export type FromUnit =
  /** The unit has loaded its task, and takes so many megabytes. */
  | { readonly say: 'ready'; readonly memoryMb: number }
  /** The unit could not load its task. */
  | { readonly say: 'broken'; readonly error: CarriedError }
  /** The unit asks whether the job's code may start. */
  | { readonly say: 'start'; readonly id: number; readonly run: number }
  | { readonly say: 'send'; readonly id: number; readonly jobs: NewJob[] }
  /** The unit's event loop turns, and the job's signal has aborted. */
  | { readonly say: 'aborting'; readonly run: number }
  | { readonly say: 'log'; readonly line: string }
  | { readonly say: 'progress'; readonly run: number; readonly value: number | object }
  /** The job's code has ended. `last`: the unit is of no use any more. */
  | ({ readonly say: 'done'; readonly run: number; readonly last: boolean } & CodeEnd);

/** What a job's code returned or threw in a unit. */
export type CodeEnd = { readonly resultJson?: string | undefined; readonly error?: CarriedError };

// Messages cross as JSON in both kinds of pools.
export const write = (message: ToUnit | FromUnit): string => JSON.stringify(message);
export const read = <T>(text: unknown): T => JSON.parse(String(text)) as T;
