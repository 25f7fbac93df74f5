import type { RecycleReason } from './recycling.ts';

/** What a parent tells a supervised worker, as JSON over its channel. */
export type ToWorker =
  /**
   * The worker may load the app and take jobs; a thread there watches the process with the id `parent`. With `tellFiles`, the
   * worker tells which files it has loaded.
   */
  | { say: 'start'; parent: number; tellFiles: boolean }
  /** Another worker's process has ended hard: the jobs that it left can be run again, if its death is proven. */
  | { say: 'died' }
  /** The grace is over: the worker aborts its jobs, gives them back and ends. */
  | { say: 'abort' };

/** What a supervised worker tells its parent. */
export type FromWorker =
  /** The worker loads the code of this queue now. */
  | { say: 'loading'; queue: string }
  /** The parent loads no settings itself. `devRedis`: whether the worker uses the project's private Redis. */
  | { say: 'settings'; gracefulTimeoutMs: number; healthPort: number; logLevel: string; devRedis: boolean }
  /** The worker takes jobs. */
  | { say: 'ready' }
  /** These files are loaded, as absolute paths. It is told at the start, at a failed one, too, and after jobs. */
  | { say: 'loaded'; files: string[] }
  | { say: 'load'; load: WorkerLoad }
  /** The worker has reached a limit and is to be replaced; it goes on until it is stopped. */
  | { say: 'due'; why: RecycleReason }
  /** The worker takes no further job and will end; `failed` when nobody has asked for that. */
  | { say: 'leaving'; failed: boolean };

/** The exit code of a worker that does not start, and would not start at a second try. */
export const refusedExitCode = 2;

/** How many jobs' code has run, how many jobs' code runs now, and the resident memory. */
export interface WorkerLoad {
  jobs: number;
  running: number;
  rssMb: number;
}
