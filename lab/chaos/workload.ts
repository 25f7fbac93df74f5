import fc from 'fast-check';
import { hostilePayloads } from '../hostile/arbitraries.ts';
import type { HostilePayload } from '../hostile/recipe.ts';
import { type StoredJob, storedJobs } from '../hostile/stored-job.ts';
import { blockMs, stubbornMs } from './limits.ts';
import { createRandom, type Random } from './random.ts';
import type { FaultKind } from './schedule.ts';

export const hostileTasks = ['hostile-async', 'hostile-thread', 'hostile-process'] as const;
export type TaskName =
  | 'fast'
  | 'slow'
  | 'failing'
  | 'once'
  | 'blocking'
  | 'stubborn'
  | 'stray'
  | (typeof hostileTasks)[number]
  | 'foreign';

export interface PlannedJob {
  readonly id: string;
  readonly task: TaskName;
  /** The time from the start of the run until the job is enqueued. */
  readonly atMs: number;
  /** `ms` is how long the job's code takes, `failures` on how many first attempts it throws. */
  readonly payload: { readonly ms: number; readonly failures: number };
  /** The payload of a hostile job, which does what it says. */
  readonly hostile?: HostilePayload;
  /** What a foreign program wrote into Redis. */
  readonly stored?: StoredJob;
}

export interface WorkloadOptions {
  readonly seed: number;
  readonly jobs: number;
  readonly durationMs: number;
  readonly only?: FaultKind | undefined;
}

const foreignJobs = storedJobs(['fast', 'slow', 'failing', 'once', 'hostile-async'], '{"ms":5,"failures":0}');

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
    case 'hostile':
      return { 'hostile-async': 60, 'hostile-thread': 120, 'hostile-process': 200, foreign: 60 };
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
    'hostile-async': 0,
    'hostile-thread': 0,
    'hostile-process': 0,
    foreign: 0,
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

/** Makes what is hostile about the job of a task; most have nothing. */
function createHostility(task: TaskName, seed: number, index: number): Pick<PlannedJob, 'hostile' | 'stored'> {
  const sample = <T>(values: fc.Arbitrary<T>) => fc.sample(values, { seed: seed ^ (index << 8), numRuns: 1 })[0] as T;
  if (task === 'foreign') return { stored: { ...sample(foreignJobs), key: 'hash' } };
  return hostileTasks.some((name) => name === task) ? { hostile: sample(hostilePayloads) } : {};
}

/** Decides every job's task and parameters: the same options give the same jobs. */
export function createWorkload(options: WorkloadOptions): PlannedJob[] {
  const random = createRandom(options.seed, 0);
  const rare = new Map(
    Object.entries(rareJobs(options.only)).flatMap(([task, everyMs]) =>
      placeRare(task as TaskName, everyMs, random, options),
    ),
  );
  const hostility = new Map([...rare].map(([at, task], index) => [at, createHostility(task, options.seed, index)]));
  return Array.from({ length: options.jobs }, (_, at) => {
    const usual = pickTask(random);
    const task = rare.get(at) ?? usual;
    const atMs = Math.floor((at / options.jobs) * options.durationMs);
    return { id: `chaos-${options.seed}-${at}`, task, atMs, payload: pickPayload(task, random), ...hostility.get(at) };
  });
}
