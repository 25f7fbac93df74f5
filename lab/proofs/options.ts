import { parseFlags, someOf } from '../kit/options.ts';
import { type Group, groups } from './steps.ts';

export interface ProofsOptions {
  /** The groups of proofs that run. */
  readonly only: readonly Group[];
  readonly json: boolean;
}

/** Parses the flags. Throws a UsageError with one line that names the flag and what it takes. */
export function parseOptions(args: readonly string[]): ProofsOptions {
  const flags = parseFlags(args, { only: { type: 'string' }, json: { type: 'boolean', default: false } });
  return { only: flags.only === undefined ? groups : someOf('--only', flags.only, groups, 'proofs'), json: flags.json };
}
