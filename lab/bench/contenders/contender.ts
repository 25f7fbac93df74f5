import type { Launch } from '../worker-process.ts';

export type TaskName = 'noop' | 'call';
export type StoreKind = 'redis' | 'postgres';

export interface WorkerSettings {
  /** Of the store. */
  readonly url: string;
  readonly concurrency: number;
}

/** What sends jobs to a contender's worker, and knows when none is left. */
export interface Sender {
  one(task: TaskName, payload: object): Promise<unknown>;
  many(task: TaskName, payloads: readonly object[]): Promise<unknown>;
  /** Whether any job waits or runs. */
  busy(): Promise<boolean>;
  close(): Promise<void>;
}

/** One of what is compared: how its worker is started, and how it gets jobs. */
export interface Contender {
  /** In results.json; stays the same. */
  readonly key: string;
  /** For people. */
  readonly name: string;
  readonly store: StoreKind;
  /** Takes part in `--quick`. */
  readonly quick: boolean;
  /** Whether each run is told of, or only that of idling: a worker of one job at a time needs 1,000 s for the load. */
  readonly idleOnly?: boolean;
  /** Fewer no-op jobs than the others, where all of them would take minutes. */
  readonly noopJobs?: number;
  /** How many milliseconds lie between two questions whether it is done, where the question is dear. */
  readonly askEveryMs?: number;
  readonly versions: Readonly<Record<string, string>>;
  launch(worker: WorkerSettings): Launch;
  open(url: string): Promise<Sender>;
}
