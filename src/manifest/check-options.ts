import { IsletError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';
import { isRedactPath } from './redact.ts';

/** Returns what was expected, or nothing when the value is right. */
export type Check = (value: unknown) => string | undefined;
export type Checks = Record<string, Check>;

/** Creates a check that expects a value for which `is` holds. */
export function expecting(what: string, is: (value: unknown) => boolean): Check {
  return (value) => (is(value) ? undefined : what);
}

const namePattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** Matches a package's name, as it stands before any path in it; `*` is any part of it. */
const packagePattern = /^(@[\w*][\w.*-]*\/)?[\w*][\w.*-]*$/;

const isName = (value: unknown) => typeof value === 'string' && value.length <= 100 && namePattern.test(value);
const isPackage = (value: unknown) => typeof value === 'string' && packagePattern.test(value);
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const listOf = (is: (item: unknown) => boolean) => (value: unknown) => Array.isArray(value) && value.every(is);

export const checks = {
  object: expecting('an object', isObject),
  name: expecting('lower-case words with hyphens, at most 100 characters', isName),
  names: expecting('a list of names', listOf(isName)),
  paths: expecting('a list of paths such as "email", "user.email", "items.*.card" or "*"', listOf(isRedactPath)),
  packages: expecting('a list of package names, such as "sharp" or "@scope/*"', listOf(isPackage)),
  integer(min: number, max = Number.MAX_SAFE_INTEGER): Check {
    const what = `an integer from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`;
    return expecting(what, (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max);
  },
  fraction: expecting('a number from 0 to 1', (value) => typeof value === 'number' && value >= 0 && value <= 1),
  oneOf: (...values: string[]): Check =>
    expecting(`one of ${values.map((item) => `"${item}"`).join(', ')}`, (value) => values.includes(value as string)),
  schema: expecting(
    'a Standard Schema (valibot, zod, arktype, ...)',
    (value) => (isObject(value) || typeof value === 'function') && '~standard' in value,
  ),
};

/** Names a value for an error: its type, and the value itself where it is short. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (value === null || ['number', 'boolean', 'undefined', 'bigint'].includes(typeof value)) return String(value);
  return Array.isArray(value) ? `a list of ${value.length}` : `a ${typeof value}`;
}

/** Creates the error for a manifest; `owner` is, for example, `Task "send-email"`. */
export function invalid(owner: string, problem: string): IsletError {
  return new IsletError('E_MANIFEST_INVALID', `${owner} does not parse: ${problem}`);
}

/** Returns the options that are not undefined. Throws `E_MANIFEST_INVALID` for a missing, unknown or wrong one. */
export function checkOptions<T extends object>(owner: string, options: T, required: string[], table: Checks): T {
  if (!isObject(options)) throw invalid(owner, `expected options, got ${describe(options)}.`);
  const all = Object.entries(options);
  const given = Object.fromEntries(all.filter(([, value]) => value !== undefined));
  const missing = required.find((key) => !Object.hasOwn(given, key));
  if (missing !== undefined) throw invalid(owner, `\`${missing}\` is missing. Add it to the manifest.`);
  for (const [key, value] of all) {
    const check = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!check) throw invalid(owner, `it has no option \`${key}\`.${didYouMean(key, Object.keys(table))}`);
    const expected = value === undefined ? undefined : check(value);
    if (expected) throw invalid(owner, `\`${key}\`: expected ${expected}, got ${describe(value)}.`);
  }
  return given as T;
}
