import { parseArgs } from 'node:util';
import { caseNames } from './cases/all.ts';
import { fullSizes, quickSizes, type Sizes } from './sizes.ts';

export interface BenchOptions {
  readonly sizes: Sizes;
  /** Without it, all cases. */
  readonly only: readonly string[] | undefined;
  /** Without it, all contenders of the size. */
  readonly contenders: readonly string[] | undefined;
  readonly json: boolean;
  /** Where the results go; a whole run's are kept with the code. */
  readonly out: string;
}

/** A mistake of the caller: one line on stderr and exit code 2, no stack. */
export class UsageError extends Error {}

const knownFlags = '--quick, --only, --contenders, --rounds, --json, --out';
const keptResults = 'lab/bench/results.json';
const looseResults = '.islet/bench/results.json';

/** Parses the flags. Throws a UsageError with one line that names the flag and what it takes. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const flags = readFlags(args);
  const sizes = flags.quick ? quickSizes : fullSizes;
  const only = flags.only?.split(',');
  const unknown = only?.find((name) => !caseNames.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`--only takes cases of ${caseNames.join(', ')}, with commas; got "${unknown}".`);
  }
  const whole = !flags.quick && only === undefined && flags.contenders === undefined && flags.rounds === undefined;
  return {
    sizes: { ...sizes, rounds: flags.rounds === undefined ? sizes.rounds : rounds(flags.rounds) },
    only,
    contenders: flags.contenders?.split(','),
    json: flags.json,
    out: flags.out ?? (whole ? keptResults : looseResults),
  };
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        contenders: { type: 'string' },
        rounds: { type: 'string' },
        json: { type: 'boolean', default: false },
        out: { type: 'string' },
      },
    }).values;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message.replaceAll('\n', ' ') : String(cause);
    throw new UsageError(`${message} Known flags: ${knownFlags}.`);
  }
}

function rounds(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= 100) return value;
  throw new UsageError(`--rounds must be a whole number from 1 to 100, got "${text}".`);
}
