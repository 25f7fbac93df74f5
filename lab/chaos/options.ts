import { parseArgs } from 'node:util';
import { type FaultKind, faultKinds } from './schedule.ts';

export interface ChaosOptions {
  readonly jobs: number;
  readonly seed: number;
  readonly durationMs: number;
  readonly workers: number;
  /** Without it, all faults are mixed. */
  readonly only: FaultKind | undefined;
  readonly json: boolean;
  readonly bare: boolean;
}

/** A mistake of the caller: one line on stderr and exit code 2, no stack. */
export class UsageError extends Error {}

const knownFlags = '--jobs, --seed, --minutes, --seconds, --workers, --only, --json, --bare';

/** Parses the flags. Throws a UsageError with one line that names the flag and its range. */
export function parseOptions(args: readonly string[]): ChaosOptions {
  const flags = readFlags(args);
  return {
    jobs: wholeNumber('--jobs', flags.jobs, 1, 1_000_000),
    seed: wholeNumber('--seed', flags.seed, 0, 4_294_967_295),
    durationMs: duration(flags.minutes, flags.seconds),
    workers: wholeNumber('--workers', flags.workers, 1, 32),
    only: faultKind(flags.only),
    json: flags.json,
    bare: flags.bare,
  };
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        jobs: { type: 'string', default: '10000' },
        seed: { type: 'string', default: '1' },
        minutes: { type: 'string' },
        seconds: { type: 'string' },
        workers: { type: 'string', default: '4' },
        only: { type: 'string' },
        json: { type: 'boolean', default: false },
        bare: { type: 'boolean', default: false },
      },
    }).values;
  } catch (cause) {
    // parseArgs explains `--jobs -1` in three lines.
    const message = cause instanceof Error ? cause.message.replaceAll('\n', ' ') : String(cause);
    throw new UsageError(`${message} Known flags: ${knownFlags}.`);
  }
}

function duration(minutes: string | undefined, seconds: string | undefined): number {
  if (minutes !== undefined && seconds !== undefined) throw new UsageError('Give --minutes or --seconds, not both.');
  if (seconds !== undefined) return wholeNumber('--seconds', seconds, 10, 86_400) * 1_000;
  return wholeNumber('--minutes', minutes ?? '3', 1, 1_440) * 60_000;
}

function faultKind(text: string | undefined): FaultKind | undefined {
  const kind = faultKinds.find((known) => known === text);
  if (kind !== undefined || text === undefined) return kind;
  throw new UsageError(`--only must be one of ${faultKinds.join(', ')}, got "${text}".`);
}

function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${flag} must be a whole number from ${min} to ${max}, got "${text}".`);
}
