import { type IsletConfig, readWorkerSettings, type WorkerSettings } from '../config.ts';
import { IsletError } from '../errors.ts';
import type { ProfileName } from '../launch-profiles.ts';
import { hasLimits, type RecycleLimits } from '../supervisor/recycling.ts';
import { UsageError } from './report-error.ts';

/** Far more than any machine has cores for. */
export const maxProcesses = 64;
/** Less would be a start after a start. */
export const minAgeMs = 5_000;

/** How a worker was asked to run, on its command line. */
export interface WorkerFlags extends RecycleFlags {
  queue: string[];
  concurrency?: number;
  /** In milliseconds. */
  gracefulTimeout?: number;
  slot?: string;
  guard: boolean;
  allowEviction?: boolean;
  /** The launch line that is meant; without it, the default one. */
  profile?: ProfileName;
  /** 0 for nowhere. */
  healthPort?: number;
  supervised?: boolean;
  devRedis?: boolean;
}

/** When worker processes are replaced, and by whom. */
export interface RecycleFlags {
  processes?: number;
  /** In milliseconds. */
  maxAge?: number;
  /** In milliseconds. */
  maxAgeVariance?: number;
  maxJobs?: number;
  maxMemory?: number;
  recycle?: 'replace' | 'exit';
}

/** What flags and settings come to together. */
export interface WorkerPlan {
  /** So many workers are kept by a parent; undefined: this process is the worker. */
  processes: number | undefined;
  limits: RecycleLimits;
  /** What a worker without a parent does at a limit: it exits; with one, it tells. */
  exits: boolean;
}

type RecycleSettings = Pick<
  WorkerSettings,
  'processes' | 'maxAgeMs' | 'maxAgeVarianceMs' | 'maxJobs' | 'maxMemoryMb' | 'recycle'
>;

const flagOf: Record<keyof RecycleFlags, string> = {
  processes: '--processes',
  maxAge: '--max-age',
  maxAgeVariance: '--max-age-variance',
  maxJobs: '--max-jobs',
  maxMemory: '--max-memory',
  recycle: '--recycle',
};

const showMs = (ms: number) => (ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`);

/** Creates what throws, named as the operator gave it: `E_USAGE` if a flag is part of it, else `E_CONFIG_INVALID`. */
function createRefusal(flags: RecycleFlags) {
  const name = (key: keyof RecycleFlags) => (flags[key] === undefined ? `worker.${key}` : flagOf[key]);
  return (keys: (keyof RecycleFlags)[], explain: (...names: string[]) => string) => {
    const message = explain(...keys.map(name));
    const isFlag = keys.some((key) => flags[key] !== undefined);
    return isFlag ? new UsageError(message) : new IsletError('E_CONFIG_INVALID', message);
  };
}

/** Decides how a worker runs; a flag wins over its setting. Throws `E_USAGE` and `E_CONFIG_INVALID`. */
export function planWorker(flags: RecycleFlags, settings: RecycleSettings): WorkerPlan {
  const refuse = createRefusal(flags);
  const processes = flags.processes ?? settings.processes;
  const limits: RecycleLimits = {
    maxAgeMs: flags.maxAge ?? settings.maxAgeMs,
    maxAgeVarianceMs: flags.maxAgeVariance ?? settings.maxAgeVarianceMs,
    maxJobs: flags.maxJobs ?? settings.maxJobs,
    maxMemoryMb: flags.maxMemory ?? settings.maxMemoryMb,
  };
  const { maxAgeMs, maxAgeVarianceMs } = limits;
  if (maxAgeMs === undefined && maxAgeVarianceMs > 0) {
    throw refuse(['maxAgeVariance', 'maxAge'], (variance, age) => `${variance} needs ${age}, which is not set.`);
  }
  if (maxAgeMs !== undefined && maxAgeVarianceMs > maxAgeMs) {
    const [age, variance] = [maxAgeMs, maxAgeVarianceMs].map(showMs);
    throw refuse(
      ['maxAgeVariance', 'maxAge'],
      (theVariance, theAge) => `${theVariance} (${variance}) is above ${theAge} (${age}). Make it less.`,
    );
  }
  const limited = hasLimits(limits);
  const exits = (flags.recycle ?? settings.recycle) === 'exit';
  if (exits && processes !== undefined) {
    throw refuse(
      ['recycle', 'processes'],
      (recycle, number) =>
        `${recycle} exit is for one worker without a parent, but ${number} is ${processes}. Leave one out.`,
    );
  }
  if (exits && !limited) {
    throw refuse(['recycle'], (recycle) => `${recycle} exit needs a limit: --max-age, --max-jobs or --max-memory.`);
  }
  return { processes: processes ?? (limited && !exits ? 1 : undefined), limits, exits };
}

/** How many processes a parent is to keep; undefined without one. What the flags leave open, the settings say. */
export async function countProcesses(flags: WorkerFlags, readConfig: () => unknown): Promise<number | undefined> {
  if (flags.supervised) return undefined;
  // The parent then loads nothing of the app: its workers read the settings.
  if (flags.processes !== undefined && flags.recycle === undefined) return flags.processes;
  return planWorker(flags, readWorkerSettings((await readConfig()) as IsletConfig)).processes;
}

/** The flags of the workers of a parent that was given these; what they are asked to do themselves. */
export function toWorkerArgs(flags: Omit<WorkerFlags, 'queue'>, index: number): string[] {
  const ms = (value: number | undefined) => (value === undefined ? undefined : `${value}ms`);
  const values: Record<string, string | number | undefined> = {
    '--concurrency': flags.concurrency,
    '--graceful-timeout': ms(flags.gracefulTimeout),
    '--max-age': ms(flags.maxAge),
    '--max-age-variance': ms(flags.maxAgeVariance),
    '--max-jobs': flags.maxJobs,
    '--max-memory': flags.maxMemory === undefined ? undefined : `${flags.maxMemory}mb`,
    // No two living workers share one.
    '--slot': flags.slot === undefined ? undefined : `${flags.slot}-${index}`,
  };
  const switches = {
    '--no-guard': !flags.guard,
    '--allow-eviction': flags.allowEviction,
    '--dev-redis': flags.devRedis,
  };
  return [
    ...Object.entries(values).flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)])),
    ...Object.entries(switches).flatMap(([flag, on]) => (on ? [flag] : [])),
  ];
}
