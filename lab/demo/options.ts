import { parseArgs } from 'node:util';

export interface DemoOptions {
  readonly jobs: number;
  readonly latencyMs: number;
  readonly concurrency: number;
  readonly json: boolean;
}

/** A mistake of the caller: one line on stderr and exit code 2, no stack. */
export class UsageError extends Error {}

/** Parses the demo's flags. Throws a UsageError with one line that names the flag and its range. */
export function parseOptions(args: readonly string[]): DemoOptions {
  const flags = readFlags(args);
  return {
    jobs: wholeNumber('--jobs', flags.jobs, 1_000_000),
    latencyMs: wholeNumber('--latency', flags.latency, 60_000),
    concurrency: wholeNumber('--concurrency', flags.concurrency, 10_000),
    json: flags.json,
  };
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        jobs: { type: 'string', default: '1000' },
        latency: { type: 'string', default: '200' },
        concurrency: { type: 'string', default: '100' },
        json: { type: 'boolean', default: false },
      },
    }).values;
  } catch (cause) {
    // parseArgs explains `--jobs -1` in three lines.
    const message = cause instanceof Error ? cause.message.replaceAll('\n', ' ') : String(cause);
    throw new UsageError(`${message} Known flags: --jobs, --latency, --concurrency, --json.`);
  }
}

function wholeNumber(flag: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new UsageError(`${flag} must be a whole number from 1 to ${max}, got "${text}".`);
}
