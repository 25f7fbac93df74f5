import { parseFlags, wholeNumber } from '../kit/options.ts';

export interface MigrationOptions {
  readonly jobs: number;
  /** The pause of a producer between two jobs. */
  readonly pauseMs: number;
  readonly json: boolean;
}

/** Parses the flags. Throws a UsageError with one line that names the flag and its range. */
export function parseOptions(args: readonly string[]): MigrationOptions {
  const flags = parseFlags(args, {
    jobs: { type: 'string', default: '20000' },
    pause: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  });
  return {
    jobs: wholeNumber('--jobs', flags.jobs, 100, 1_000_000),
    pauseMs: wholeNumber('--pause', flags.pause, 0, 1_000),
    json: flags.json,
  };
}
