import { type IsletConfig, readWorkerSettings, type WorkerSettings } from '../config.ts';
import { IsletError } from '../errors.ts';
import { hasLimits } from '../supervisor/recycling.ts';
import { showDuration } from '../units.ts';
import { UsageError } from './report-error.ts';
import { applyFlags, flagName, type WorkerFlags } from './worker-flags.ts';

/** What flags and settings come to together. */
export interface WorkerPlan {
  /** The settings in force. */
  settings: WorkerSettings;
  /** How many workers a parent keeps; undefined when this process is the worker. */
  processes: number | undefined;
  /** Whether a worker without a parent exits at a limit; one with a parent tells that. */
  exits: boolean;
}

type RecycleKey = 'processes' | 'maxAge' | 'maxAgeVariance' | 'recycle';

/** Names a key as the operator gave it. */
function nameOf(flags: WorkerFlags, key: RecycleKey): string {
  return flags[key] === undefined ? `worker.${key}` : flagName(key);
}

/** Creates the error for keys that do not go together: `E_USAGE` if a flag is part of it, else `E_CONFIG_INVALID`. */
function refuse(flags: WorkerFlags, keys: RecycleKey[], message: string): IsletError {
  const isUsage = keys.some((key) => flags[key] !== undefined);
  return isUsage ? new UsageError(message) : new IsletError('E_CONFIG_INVALID', message);
}

function checkVariance(flags: WorkerFlags, { maxAgeMs, maxAgeVarianceMs }: WorkerSettings): void {
  if (maxAgeVarianceMs === 0 || (maxAgeMs !== undefined && maxAgeVarianceMs <= maxAgeMs)) return;
  const [variance, age] = [nameOf(flags, 'maxAgeVariance'), nameOf(flags, 'maxAge')];
  const problem =
    maxAgeMs === undefined
      ? `${variance} needs ${age}, which is not set.`
      : `${variance} (${showDuration(maxAgeVarianceMs)}) is above ${age} (${showDuration(maxAgeMs)}). Lower it.`;
  throw refuse(flags, ['maxAgeVariance', 'maxAge'], problem);
}

function checkExit(flags: WorkerFlags, { processes }: WorkerSettings, limited: boolean): void {
  const recycle = nameOf(flags, 'recycle');
  if (processes !== undefined) {
    const seen = `${nameOf(flags, 'processes')} is ${processes}`;
    const problem = `${recycle} exit is for one worker without a parent, but ${seen}. Leave one out.`;
    throw refuse(flags, ['recycle', 'processes'], problem);
  }
  if (limited) return;
  const limits = (['maxAge', 'maxJobs', 'maxMemory'] as const).map(flagName);
  const named = limits.join(', ').replace(/, (?=[^,]*$)/, ' or ');
  throw refuse(flags, ['recycle'], `${recycle} exit needs a limit: ${named}.`);
}

/** Decides how a worker runs; a flag wins over its setting. Throws `E_USAGE` and `E_CONFIG_INVALID`. */
export function planWorker(flags: WorkerFlags, configured: WorkerSettings): WorkerPlan {
  const settings = applyFlags(flags, configured);
  const exits = settings.recycle === 'exit';
  const limited = hasLimits(settings);
  checkVariance(flags, settings);
  if (exits) checkExit(flags, settings, limited);
  return { settings, processes: settings.processes ?? (limited && !exits ? 1 : undefined), exits };
}

/** Returns how many processes a parent is to keep; undefined without a parent. */
export async function countProcesses(flags: WorkerFlags, readConfig: () => unknown): Promise<number | undefined> {
  if (flags.supervised) return undefined;
  // The parent then loads nothing of the app: its workers read the settings.
  if (flags.processes !== undefined && flags.recycle === undefined) return flags.processes;
  return planWorker(flags, readWorkerSettings((await readConfig()) as IsletConfig)).processes;
}
