import { exitSlackMs, graceMs, lockMs } from './limits.ts';
import { createRandom, type Random } from './random.ts';

const workerFaults = ['sigkill', 'restarts', 'freeze', 'worker-kill', 'parent-kill'] as const;
const redisFaults = ['redis-kill', 'redis-freeze', 'drops', 'redis-full'] as const;

/** The faults that the harness brings about; blocks and hostility come from jobs, and recycling from supervisors. */
export type ScheduledKind = (typeof workerFaults)[number] | (typeof redisFaults)[number];
export type FaultKind = ScheduledKind | 'blocks' | 'recycling' | 'hostile';

export const faultKinds: readonly FaultKind[] = [...workerFaults, 'blocks', 'recycling', 'hostile', ...redisFaults];

/** The faults that hit workers below a parent, or come from the parent. */
const supervisorFaults: readonly FaultKind[] = ['worker-kill', 'parent-kill', 'recycling'];

/** Says whether a slot holds two workers below a parent: every slot does when the only fault is about such workers. */
export function isSupervised(slot: number, only: FaultKind | undefined): boolean {
  return only === undefined ? slot === 0 : supervisorFaults.includes(only);
}

export interface Fault {
  readonly kind: ScheduledKind;
  /** The time from the start of the run to the fault. */
  readonly atMs: number;
  /** How long the fault lasts. For kills and restarts, this is an estimate of the time until things run again. */
  readonly forMs: number;
  /** The slot that the fault hits, where it hits one. */
  readonly worker: number;
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly workers: number;
  readonly only?: FaultKind | undefined;
}

/** The two lanes run beside each other; within one, a fault is over before the next one begins. */
export interface Schedule {
  readonly workers: readonly Fault[];
  readonly redis: readonly Fault[];
}

const restartMs = 4_000;
const longestRedisFreezeMs = 20_000;

function lengthOf(kind: ScheduledKind, random: Random, { durationMs, workers }: ScheduleOptions): number {
  // A short run has to have time for the other faults, too.
  const longestFreezeMs = Math.max(3_000, Math.min(longestRedisFreezeMs, durationMs / 6));
  switch (kind) {
    case 'sigkill':
    case 'worker-kill':
      return 3_000;
    case 'parent-kill':
      // The workers below it drain meanwhile.
      return graceMs + exitSlackMs;
    case 'restarts':
      return restartMs * workers;
    case 'freeze':
      return lockMs + 3_000;
    case 'redis-kill':
      return random.integer(1_000, 3_000);
    case 'redis-freeze':
      return random.integer(3_000, longestFreezeMs);
    case 'drops':
      return 0;
    case 'redis-full':
      return random.integer(3_000, 5_000);
  }
}

interface Lane {
  readonly kinds: readonly ScheduledKind[];
  /** The shortest and the longest time from the end of a fault to the next one. */
  readonly gapMs: readonly [number, number];
}

/** Plans every kind once in random order, then again, until the time is over. */
function createLane({ kinds, gapMs }: Lane, random: Random, options: ScheduleOptions): Fault[] {
  const faults: Fault[] = [];
  let atMs = 0;
  while (kinds.length > 0) {
    for (const kind of random.shuffled(kinds)) {
      atMs += random.integer(...gapMs);
      const forMs = lengthOf(kind, random, options);
      if (atMs + forMs > options.durationMs) return faults;
      faults.push({ kind, atMs, forMs, worker: random.integer(0, options.workers - 1) });
      atMs += forMs;
    }
  }
  return faults;
}

/** Says whether a fault comes at all; the workers of hostile jobs are killed, too. */
function isChosen(kind: ScheduledKind, only: FaultKind | undefined): boolean {
  return only === undefined || kind === (only === 'hostile' ? 'sigkill' : only);
}

/** Decides when which fault comes: the same options give the same schedule. */
export function createSchedule(options: ScheduleOptions): Schedule {
  const { seed, only } = options;
  const chosen = (kinds: readonly ScheduledKind[]) => kinds.filter((kind) => isChosen(kind, only));
  const workers: Lane = { kinds: chosen(workerFaults), gapMs: [2_000, 6_000] };
  const redis: Lane = { kinds: chosen(redisFaults), gapMs: [4_000, 9_000] };
  return {
    workers: createLane(workers, createRandom(seed, 1), options),
    redis: createLane(redis, createRandom(seed, 2), options),
  };
}
