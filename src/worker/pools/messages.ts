import type { NewJob } from '../../broker/broker.ts';
import type { PoolJob } from '../pool.ts';
import type { CarriedError } from './carried-error.ts';

/** What a unit (a thread or process of a pool) is started with. */
export interface UnitOrder {
  readonly queue: string;
  /** By its manifest's name. */
  readonly task: string;
  readonly maxJobs: number;
  /** Above it, in megabytes, the unit asks to be replaced after a job. */
  readonly replaceAboveMb: number;
  /** The worker's process, for a unit that is one itself. */
  readonly parent: number | undefined;
}

/** What the worker says to a unit. */
export type ToUnit =
  | { readonly say: 'run'; readonly job: PoolJob }
  | { readonly say: 'abort'; readonly reason: CarriedError }
  /** To `start` and `send`: without an error, it may or has been done. */
  | { readonly say: 'answer'; readonly id: number; readonly error?: CarriedError }
  | { readonly say: 'close' };

/** What a unit says to its worker. `run` is the number of the unit's job, from 1: the last one's words may come late. */
export type FromUnit =
  /** It has loaded its task, and takes so many megabytes. */
  | { readonly say: 'ready'; readonly memoryMb: number }
  /** It could not load its task. */
  | { readonly say: 'broken'; readonly error: CarriedError }
  /** May the job's code start? */
  | { readonly say: 'start'; readonly id: number; readonly run: number }
  | { readonly say: 'send'; readonly id: number; readonly jobs: NewJob[] }
  /** Its event loop turns, and the job's signal has aborted. */
  | { readonly say: 'aborting'; readonly run: number }
  | { readonly say: 'log'; readonly line: string }
  | { readonly say: 'progress'; readonly run: number; readonly value: number | object }
  /** The job's code has ended. `last`: the unit is of no use any more. */
  | {
      readonly say: 'done';
      readonly run: number;
      readonly resultJson?: string;
      readonly error?: CarriedError;
      readonly last: boolean;
    };

/** One side of the way between a worker and a unit. What crosses is JSON in both kinds of pools. */
export interface Way<In, Out> {
  send(message: Out): void;
  onMessage(take: (message: In) => void): void;
}

export const write = (message: ToUnit | FromUnit): string => JSON.stringify(message);
export const read = <T>(text: unknown): T => JSON.parse(String(text)) as T;
