import type { Launch } from '../measured-worker.ts';

export type TaskName = 'noop' | 'call';
export type StoreKind = 'redis' | 'postgres';

/** Where jobs are kept: a Redis or a database of one run's own. */
export interface Store {
  readonly url: string;
  close(): Promise<void>;
}

export interface WorkerSettings {
  /** The store's URL. */
  readonly url: string;
  readonly concurrency: number;
}

/** Sends jobs to a contender's worker, and knows when none is left. */
export interface Sender {
  one(task: TaskName, payload: object): Promise<unknown>;
  many(task: TaskName, payloads: readonly object[]): Promise<unknown>;
  /** Says whether any job waits or runs. */
  busy(): Promise<boolean>;
  close(): Promise<void>;
}

/** One of those that are compared: how its worker is started, and how it gets jobs. */
export interface Contender {
  /** The name in results.json, which stays the same. */
  readonly key: string;
  /** The name for people. */
  readonly name: string;
  readonly store: StoreKind;
  /** Whether the contender takes part in `--quick`. */
  readonly quick: boolean;
  /** Whether only its idle memory is measured: a worker of one job at a time needs 1,000 s for the load. */
  readonly idleOnly?: boolean;
  /** The most no-op jobs for this contender, where all of them would take minutes. */
  readonly noopJobs?: number;
  /** The milliseconds between two questions whether any job is left, where the question is expensive. Default: 5. */
  readonly askEveryMs?: number;
  readonly versions: Readonly<Record<string, string>>;
  launch(worker: WorkerSettings): Launch;
  open(url: string): Promise<Sender>;
}
