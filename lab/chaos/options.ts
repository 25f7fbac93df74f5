import { oneOf, parseFlags, UsageError, wholeNumber } from '../kit/options.ts';
import { type FaultKind, faultKinds } from './schedule.ts';

export interface ChaosOptions {
  readonly jobs: number;
  readonly seed: number;
  readonly durationMs: number;
  readonly workers: number;
  /** Without it, all faults are mixed. */
  readonly only: FaultKind | undefined;
  readonly json: boolean;
  /** Whether a bare BullMQ worker is measured, too. */
  readonly bare: boolean;
}

/** Parses the flags. Throws a UsageError with one line that names the flag and its range. */
export function parseOptions(args: readonly string[]): ChaosOptions {
  const flags = parseFlags(args, {
    jobs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    seconds: { type: 'string' },
    workers: { type: 'string', default: '4' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    bare: { type: 'boolean', default: false },
  });
  return {
    jobs: wholeNumber('--jobs', flags.jobs, 1, 1_000_000),
    seed: wholeNumber('--seed', flags.seed, 0, 4_294_967_295),
    durationMs: duration(flags.minutes, flags.seconds),
    workers: wholeNumber('--workers', flags.workers, 1, 32),
    only: flags.only === undefined ? undefined : oneOf('--only', flags.only, faultKinds),
    json: flags.json,
    bare: flags.bare,
  };
}

function duration(minutes: string | undefined, seconds: string | undefined): number {
  if (minutes !== undefined && seconds !== undefined) throw new UsageError('Give --minutes or --seconds, not both.');
  if (seconds !== undefined) return wholeNumber('--seconds', seconds, 10, 86_400) * 1_000;
  return wholeNumber('--minutes', minutes ?? '3', 1, 1_440) * 60_000;
}
