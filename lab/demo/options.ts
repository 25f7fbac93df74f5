import { parseFlags, wholeNumber } from '../kit/options.ts';

export interface DemoOptions {
  readonly jobs: number;
  readonly latencyMs: number;
  readonly concurrency: number;
  readonly json: boolean;
}

/** Parses the demo's flags. Throws a UsageError with one line that names the flag and its range. */
export function parseOptions(args: readonly string[]): DemoOptions {
  const flags = parseFlags(args, {
    jobs: { type: 'string', default: '1000' },
    latency: { type: 'string', default: '200' },
    concurrency: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false },
  });
  return {
    jobs: wholeNumber('--jobs', flags.jobs, 1, 1_000_000),
    latencyMs: wholeNumber('--latency', flags.latency, 1, 60_000),
    concurrency: wholeNumber('--concurrency', flags.concurrency, 1, 10_000),
    json: flags.json,
  };
}
