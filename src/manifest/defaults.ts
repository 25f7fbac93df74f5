/** The defaults of a task's manifest. Every default of manifests and workers stands once, in this file. */
export const taskDefaults = {
  version: 1,
  attempts: 3,
  retries: 'from-manifest',
  backoff: { type: 'exponential', delayMs: 1_000, maxDelayMs: 3_600_000, jitter: 0.5 },
  timeoutMs: 60_000,
  abandonAfterMs: 5_000,
  maxPayloadBytes: 262_144,
  maxResultBytes: 262_144,
  load: 'on-start',
  delivery: 'at-least-once',
  keepReturnValue: false,
  pool: 'async',
} as const;

/** The defaults of a pool; its `size` is the number of cores but one, at least 1. */
export const poolDefaults = {
  maxJobs: 1_000,
  maxMemoryMb: 512,
  idleTimeoutMs: 30_000,
} as const;

/** A retention that removes nothing. */
export const unlimited = Number.POSITIVE_INFINITY;

/** The defaults of a queue that is an existing one of BullMQ's, in which a plain worker keeps all jobs. */
export const mappedDefaults = {
  prefix: 'bull',
  retention: { failedForMs: unlimited, failedCount: unlimited, completedForMs: unlimited, completedCount: unlimited },
} as const;

export const queueDefaults = {
  concurrency: 100,
  lockDurationMs: 30_000,
  stalledCheckMs: 15_000,
  retention: { failedForMs: 604_800_000, failedCount: 1_000, completedForMs: 86_400_000, completedCount: 0 },
} as const;

/** The defaults of what `config/` may set of a worker; times are in milliseconds. */
export const workerDefaults = {
  gracefulTimeoutMs: 25_000,
  unknownTaskDeadlineMs: 600_000,
  maxReleases: 20,
  maxCrashes: 3,
  windowMs: 86_400_000,
  maxAbandoned: 10,
  guard: true,
  maxBlockMs: 120_000,
  healthPort: 0,
  /** Undefined: one process without a parent. */
  processes: undefined as number | undefined,
  maxAgeMs: undefined as number | undefined,
  maxAgeVarianceMs: 0,
  maxJobs: undefined as number | undefined,
  maxMemoryMb: undefined as number | undefined,
  recycle: 'replace' as 'replace' | 'exit',
};

/** What a worker puts up with before it fails a job, or stops; `src/config.ts` says what each limit means. */
export type WorkerLimits = Readonly<
  Pick<typeof workerDefaults, 'unknownTaskDeadlineMs' | 'maxReleases' | 'maxCrashes' | 'windowMs' | 'maxAbandoned'>
>;
