import { maxDurationMs } from '../config.ts';
import { readDuration, readSize } from '../units.ts';
import { UsageError } from './report-error.ts';

/** Collects the values of a flag that may be given more than once. */
export const collect = (value: string, before: string[]): string[] => [...before, value];

/** Parses a whole number of a flag. Throws `E_USAGE`. */
export function parseInteger(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new UsageError(`${flag}: expected a whole number from ${min} to ${max}, got "${text}".`);
  };
}

/** Parses one of several words of a flag. Throws `E_USAGE`. */
export function parseChoice<T extends string>(flag: string, choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((each) => each === text);
    if (choice !== undefined) return choice;
    throw new UsageError(`${flag}: expected one of ${choices.join(', ')}, got "${text}".`);
  };
}

/** Parses a duration such as `500ms`, `60s` or `6h` into milliseconds, 24 days at most by default. Throws `E_USAGE`. */
export function parseDuration(flag: string, maxMs = maxDurationMs, minMs = 0): (text: string) => number {
  return (text) => {
    const ms = readDuration(text);
    if (ms >= minMs && ms <= maxMs) return ms;
    const limit = `${minMs > 0 ? `from ${minMs / 1_000}s, ` : ''}${maxMs / 86_400_000}d at most`;
    throw new UsageError(`${flag}: expected a duration such as 500ms, 60s or 6h, ${limit}, got "${text}".`);
  };
}

/** Parses a size such as `300mb` or `1gb` into megabytes. Throws `E_USAGE`. */
export function parseSize(flag: string): (text: string) => number {
  return (text) => {
    const mb = readSize(text);
    if (mb >= 1) return mb;
    throw new UsageError(`${flag}: expected a size such as 300mb or 1gb, got "${text}".`);
  };
}
