import { IsletError } from '../errors.ts';
import type { WorkerLoad } from '../supervisor/messages.ts';
import {
  drawMaxAge,
  mustStopNow,
  type RecycleLimits,
  type RecycleReason,
  whyRecycle,
} from '../supervisor/recycling.ts';
import type { RunningWorker } from '../worker/running-worker.ts';

type State = WorkerLoad & { ageMs: number };

interface RecyclingEvents {
  /** Called at once, and regularly from then on. */
  onLook(load: WorkerLoad): void;
  /** Called once, when a limit is reached. */
  onDue(why: RecycleReason, state: State): void;
  /** Called once, when the process is so far above its memory limit that it cannot wait for a successor. */
  onExcess(state: State): void;
}

const lookMs = 1_000;
/** How often the memory is looked at, in milliseconds: a leak may be fast. */
const memoryLookMs = 250;
const busyLookMs = 50;
/** The part of its memory limit that a worker with nothing to do must stay below. */
const idleShare = 0.9;

/** Returns the resident memory of this process, in megabytes. */
export const readRssMb = () => Math.round(process.memoryUsage.rss() / 1_048_576);

/** Watches the age, jobs and memory of this worker process for a reason to replace it. Its age counts from now. */
export function watchRecycling(worker: Pick<RunningWorker, 'jobs'>, limits: RecycleLimits, events: RecyclingEvents) {
  const startedAt = performance.now();
  const own = { ...limits, maxAgeMs: drawMaxAge(limits, Math.random) };
  let due = false;
  let excess = false;
  let lookedAt = 0;
  const judge = (load: WorkerLoad) => {
    const state = { ...load, ageMs: Math.round(performance.now() - startedAt) };
    const why = due ? undefined : whyRecycle(state, own);
    if (why !== undefined) {
      due = true;
      events.onDue(why, state);
    }
    if (excess || !mustStopNow(state, own.maxMemoryMb)) return;
    excess = true;
    events.onExcess(state);
  };
  const look = () => {
    lookedAt = performance.now();
    const { running, done } = worker.jobs();
    const load = { jobs: done, running, rssMb: readRssMb() };
    events.onLook(load);
    judge(load);
  };
  const isUrgent = () =>
    (own.maxJobs !== undefined && !due && worker.jobs().done >= own.maxJobs) ||
    (own.maxMemoryMb !== undefined && !excess && performance.now() - lookedAt >= busyLookMs);
  const timer = setInterval(look, limits.maxMemoryMb === undefined ? lookMs : memoryLookMs).unref();
  look();
  return {
    /** Looks more often at a process that runs many jobs a second, so that it goes little beyond its limits. */
    onJobEnd() {
      if (isUrgent()) look();
    },
    close: () => clearInterval(timer),
  };
}

/** Refuses a memory limit that a worker with no job would reach. Throws `E_MEMORY_LIMIT_LOW`. */
export function checkMemoryLimit(maxMemoryMb: number | undefined): void {
  const idleMb = readRssMb();
  if (maxMemoryMb === undefined || idleMb < maxMemoryMb * idleShare) return;
  const seen = `The memory limit of ${maxMemoryMb} MB is too low: this worker takes ${idleMb} MB with no job.`;
  const advice = `Set --max-memory or worker.maxMemory to ${Math.ceil((idleMb * 1.5) / 10) * 10}mb or more.`;
  throw new IsletError('E_MEMORY_LIMIT_LOW', `${seen} ${advice}`);
}
