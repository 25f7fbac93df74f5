import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A mistake of the caller: the program prints one line about it, without a stack, and exits with 2. */
export class UsageError extends Error {}

/** Parses flags. Throws a UsageError that lists the known flags when it meets anything else. */
export function parseFlags<T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ args: string[]; options: T }>>['values'] {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    // parseArgs explains `--jobs -1` in three lines.
    const message = cause instanceof Error ? cause.message.replaceAll('\n', ' ') : String(cause);
    const known = Object.keys(options).map((name) => `--${name}`);
    throw new UsageError(`${message} ${known.length > 0 ? `Known flags: ${known.join(', ')}` : 'There are no flags'}.`);
  }
}

/** Parses a whole number within a range, both ends included. Throws a UsageError that names the flag and the range. */
export function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${flag} must be a whole number from ${min} to ${max}, got "${text}".`);
}

/** Returns the known value that the text names. Throws a UsageError that lists them when there is none. */
export function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((value) => value === text);
  if (found !== undefined) return found;
  throw new UsageError(`${flag} must be one of ${known.join(', ')}, got "${text}".`);
}

/** Splits a list at its commas. Throws a UsageError at the first value that is not known; `what` says what they are. */
export function someOf<T extends string>(flag: string, text: string, known: readonly T[], what: string): T[] {
  return text.split(',').map((one) => {
    const found = known.find((value) => value === one);
    if (found !== undefined) return found;
    throw new UsageError(`${flag} takes ${what} of ${known.join(', ')}, with commas; got "${one}".`);
  });
}
