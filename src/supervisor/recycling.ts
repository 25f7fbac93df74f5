/** At which limits a worker process is replaced by a fresh one. What is undefined is no limit. */
export interface RecycleLimits {
  readonly maxAgeMs: number | undefined;
  /** Each process' age is drawn from this much around `maxAgeMs`. */
  readonly maxAgeVarianceMs: number;
  readonly maxJobs: number | undefined;
  readonly maxMemoryMb: number | undefined;
}

export type RecycleReason = 'age' | 'jobs' | 'memory';

/** The least age, in milliseconds, that is worth a start. */
const leastAgeMs = 1_000;

export function hasLimits({ maxAgeMs, maxJobs, maxMemoryMb }: RecycleLimits): boolean {
  return maxAgeMs !== undefined || maxJobs !== undefined || maxMemoryMb !== undefined;
}

/** Draws the age of one process, so that processes which started together are not replaced together. */
export function drawMaxAge({ maxAgeMs, maxAgeVarianceMs }: RecycleLimits, random: () => number): number | undefined {
  if (maxAgeMs === undefined) return undefined;
  return Math.max(leastAgeMs, Math.round(maxAgeMs + (2 * random() - 1) * maxAgeVarianceMs));
}

/** What a process has come to; its limits are its own: `maxAgeMs` was drawn for it. */
export interface RecycleState {
  readonly ageMs: number;
  readonly jobs: number;
  readonly rssMb: number;
}

/** Says which limit a process has reached, the most pressing one first. */
export function whyRecycle(
  { ageMs, jobs, rssMb }: RecycleState,
  { maxAgeMs, maxJobs, maxMemoryMb }: Omit<RecycleLimits, 'maxAgeVarianceMs'>,
): RecycleReason | undefined {
  if (maxMemoryMb !== undefined && rssMb >= maxMemoryMb) return 'memory';
  if (maxJobs !== undefined && jobs >= maxJobs) return 'jobs';
  return maxAgeMs !== undefined && ageMs >= maxAgeMs ? 'age' : undefined;
}

/** How far above its limit of memory a process takes no further job, although its successor is not there yet. */
const memoryMargin = 1.5;

/** Whether a process has to stop now, so that a leak stays bounded also where a start takes long. */
export function mustStopNow({ rssMb }: Pick<RecycleState, 'rssMb'>, maxMemoryMb: number | undefined): boolean {
  return maxMemoryMb !== undefined && rssMb >= maxMemoryMb * memoryMargin;
}
