/** What a worker puts up with, from `config/`'s `worker` settings; their defaults stand in manifest/defaults.ts. */
export interface WorkerLimits {
  /**
   * Milliseconds that running jobs get at the worker's stop. Then their signals abort, and what does not end goes back
   * into the queue. 0 aborts at once. Default: 25_000 (25 seconds).
   */
  readonly gracefulTimeoutMs: number;
  /**
   * Milliseconds that a job may wait for a worker that knows its task and version, from when one first did not. Then
   * it fails with `E_TASK_UNKNOWN`. 0 fails it at once. Default: 600_000 (10 minutes).
   */
  readonly unknownTaskDeadlineMs: number;
  /**
   * How often a job may be given back by stopping workers within `windowMs`. The next time it fails with
   * `E_RELEASE_LIMIT`. 0 or more. Default: 20.
   */
  readonly maxReleases: number;
  /**
   * The number of crashes within `windowMs` at which a job fails with `E_POISONED`. From its second one on it runs
   * alone. 1 or more. Default: 3.
   */
  readonly maxCrashes: number;
  /** For how many milliseconds a release and a crash count. 1_000 or more. Default: 86_400_000 (1 day). */
  readonly windowMs: number;
  /**
   * How many jobs may have ignored their signal past `abandonAfterMs` in one process. One more, and the worker stops
   * to be replaced. 0 or more. Default: 10.
   */
  readonly maxAbandoned: number;
}
