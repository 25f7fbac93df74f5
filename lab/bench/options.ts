import { parseFlags, someOf, wholeNumber } from '../kit/options.ts';
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

const keptResults = 'lab/bench/results.json';
const looseResults = '.islet/bench/results.json';

/** Parses the flags. Throws a UsageError with one line that names the flag and what it takes. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const flags = parseFlags(args, {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    contenders: { type: 'string' },
    rounds: { type: 'string' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
  });
  const sizes = flags.quick ? quickSizes : fullSizes;
  const rounds = flags.rounds === undefined ? sizes.rounds : wholeNumber('--rounds', flags.rounds, 1, 100);
  const whole = !flags.quick && [flags.only, flags.contenders, flags.rounds].every((part) => part === undefined);
  return {
    sizes: { ...sizes, rounds },
    only: flags.only === undefined ? undefined : someOf('--only', flags.only, caseNames, 'cases'),
    contenders: flags.contenders?.split(','),
    json: flags.json,
    out: flags.out ?? (whole ? keptResults : looseResults),
  };
}
