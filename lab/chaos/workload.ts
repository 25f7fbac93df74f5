import { blockMs, stubbornMs } from './limits.ts';
import { createRandom, type Random } from './random.ts';
import type { FaultKind } from './schedule.ts';

export type TaskName = 'fast' | 'slow' | 'failing' | 'once' | 'blocking' | 'stubborn' | 'stray';

export interface PlannedJob {
  readonly id: string;
  readonly task: TaskName;
  /** The time from the start of the run until the job is enqueued. */
  readonly atMs: number;
  /** `ms` is how long the job's code takes, `failures` on how many first attempts it throws. */
  readonly payload: { readonly ms: number; readonly failures: number };
}

export interface WorkloadOptions {
  readonly seed: number;
  readonly jobs: number;
  readonly durationMs: number;
  readonly only?: FaultKind | undefined;
}

/** The share of the run in which rare jobs come, so that they are over when the run is. */
const rarePart = 0.7;

/** Returns for each rare task how many milliseconds of the run have one job of it. */
function rareJobs(only: FaultKind | undefined): Partial<Record<TaskName, number>> {
  switch (only) {
    case undefined:
      return { blocking: 30_000, stray: 30_000, stubborn: 15_000 };
    case 'blocks':
      return { blocking: 12_000 };
    case 'restarts':
      return { stubborn: 10_000 };
    default:
      return {};
  }
}

function pickTask(random: Random): TaskName {
  const share = random.next();
  if (share < 0.2) return 'slow';
  if (share < 0.3) return 'once';
  return share < 0.4 ? 'failing' : 'fast';
}

function pickPayload(task: TaskName, random: Random): PlannedJob['payload'] {
  const ms: Record<TaskName, number> = {
    fast: random.integer(1, 10),
    slow: random.integer(1_000, 3_000),
    failing: random.integer(1, 300),
    once: random.integer(5, 2_000),
    blocking: blockMs,
    stubborn: stubbornMs,
    stray: random.integer(10, 500),
  };
  return { ms: ms[task], failures: random.integer(1, 3) };
}

function placeRare(task: TaskName, everyMs: number, random: Random, { jobs, durationMs }: WorkloadOptions) {
  const count = Math.max(1, Math.round((durationMs * rarePart) / everyMs));
  return Array.from({ length: count }, (_, at): [number, TaskName] => [
    Math.floor(((at + random.next()) / count) * rarePart * jobs),
    task,
  ]);
}

/** Decides every job's task and parameters: the same options give the same jobs. */
export function createWorkload(options: WorkloadOptions): PlannedJob[] {
  const random = createRandom(options.seed, 0);
  const rare = new Map(
    Object.entries(rareJobs(options.only)).flatMap(([task, everyMs]) =>
      placeRare(task as TaskName, everyMs, random, options),
    ),
  );
  return Array.from({ length: options.jobs }, (_, at) => {
    const usual = pickTask(random);
    const task = rare.get(at) ?? usual;
    const atMs = Math.floor((at / options.jobs) * options.durationMs);
    return { id: `chaos-${options.seed}-${at}`, task, atMs, payload: pickPayload(task, random) };
  });
}
