/** The limits at which a worker process is replaced by a fresh one; undefined stands for no limit. */
export interface RecycleLimits {
  readonly maxAgeMs: number | undefined;
  /** The age of each process is drawn from this much around `maxAgeMs`. */
  readonly maxAgeVarianceMs: number;
  readonly maxJobs: number | undefined;
  readonly maxMemoryMb: number | undefined;
}

export type RecycleReason = 'age' | 'jobs' | 'memory';

export function hasLimits({ maxAgeMs, maxJobs, maxMemoryMb }: RecycleLimits): boolean {
  return maxAgeMs !== undefined || maxJobs !== undefined || maxMemoryMb !== undefined;
}

/** Draws the age of one process, a second or more, so that processes which start together are not replaced together. */
export function drawMaxAge({ maxAgeMs, maxAgeVarianceMs }: RecycleLimits, random: () => number): number | undefined {
  if (maxAgeMs === undefined) return undefined;
  return Math.max(1_000, Math.round(maxAgeMs + (2 * random() - 1) * maxAgeVarianceMs));
}

/** Returns the most pressing limit that a process has reached. Its own `maxAgeMs` was drawn for it. */
export function whyRecycle(
  { ageMs, jobs, rssMb }: { ageMs: number; jobs: number; rssMb: number },
  { maxAgeMs, maxJobs, maxMemoryMb }: Omit<RecycleLimits, 'maxAgeVarianceMs'>,
): RecycleReason | undefined {
  if (maxMemoryMb !== undefined && rssMb >= maxMemoryMb) return 'memory';
  if (maxJobs !== undefined && jobs >= maxJobs) return 'jobs';
  return maxAgeMs !== undefined && ageMs >= maxAgeMs ? 'age' : undefined;
}

/** Tells whether a process has to stop before its successor is there, so that a leak stays bounded. */
export function mustStopNow({ rssMb }: { rssMb: number }, maxMemoryMb: number | undefined): boolean {
  return maxMemoryMb !== undefined && rssMb >= maxMemoryMb * 1.5;
}
