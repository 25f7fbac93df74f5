import type { RecycleReason } from './recycling.ts';

/** What a parent tells a supervised worker, as JSON over its channel. */
export type ToWorker =
  /** It may load the app and take jobs; `parent` is the id of the process that a thread there looks for. */
  | { say: 'start'; parent: number }
  /** Another worker's process has ended hard: what it left behind can be run again, if its death is proven. */
  | { say: 'died' }
  /** Its grace is over: abort, give back, end. */
  | { say: 'abort' };

/** What a supervised worker tells its parent. */
export type FromWorker =
  /** It loads the code of this queue now. */
  | { say: 'loading'; queue: string }
  | ({ say: 'settings' } & WorkerSettingsToParent)
  /** It takes jobs. */
  | { say: 'ready' }
  | ({ say: 'load' } & WorkerLoad)
  /** It has reached a limit and is to be replaced; it goes on until it is stopped. */
  | { say: 'due'; why: RecycleReason }
  /** It takes no further job and will end; `failed` when nobody has asked for that. */
  | { say: 'leaving'; failed: boolean };

/** The exit code of a worker that does not start, and would not if it were tried again. */
export const refusedExitCode = 2;

/** What a parent has to know of the settings: it loads none itself. */
export interface WorkerSettingsToParent {
  gracefulTimeoutMs: number;
  healthPort: number;
  logLevel: string;
  /** It uses the project's private Redis, which runs while somebody does. */
  devRedis: boolean;
}

/** What a worker process has done and holds. */
export interface WorkerLoad {
  /** Jobs whose code has run. */
  jobs: number;
  /** Jobs whose code runs. */
  running: number;
  rssMb: number;
}
