import { IsletError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';

/** Returns what was expected, or nothing when the value is right. */
export type Check = (value: unknown) => string | undefined;

const namePattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

const isName = (value: unknown) => typeof value === 'string' && value.length <= 100 && namePattern.test(value);

/** A package's name, as it stands before any path in it; `*` is any part of it. */
const packagePattern = /^(@[\w*][\w.*-]*\/)?[\w*][\w.*-]*$/;

const isPackage = (value: unknown) => typeof value === 'string' && packagePattern.test(value);

export const checks = {
  name: (value: unknown) => (isName(value) ? undefined : 'lower-case words with hyphens, at most 100 characters'),
  names: (value: unknown) => (Array.isArray(value) && value.every(isName) ? undefined : 'a list of names'),
  strings: (value: unknown) =>
    Array.isArray(value) && value.every((item) => typeof item === 'string') ? undefined : 'a list of strings',
  packages: (value: unknown) =>
    Array.isArray(value) && value.every(isPackage)
      ? undefined
      : 'a list of package names, such as "sharp" or "@scope/*"',
  integer:
    (min: number, max = Number.MAX_SAFE_INTEGER): Check =>
    (value) =>
      Number.isInteger(value) && (value as number) >= min && (value as number) <= max
        ? undefined
        : `an integer from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`,
  fraction: (value: unknown) =>
    typeof value === 'number' && value >= 0 && value <= 1 ? undefined : 'a number from 0 to 1',
  oneOf:
    (...values: string[]): Check =>
    (value) =>
      values.includes(value as string) ? undefined : `one of ${values.map((item) => `"${item}"`).join(', ')}`,
  schema: (value: unknown) =>
    (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value
      ? undefined
      : 'a Standard Schema (valibot, zod, arktype, ...)',
} satisfies Record<string, Check | ((...args: never[]) => Check)>;

/** Names a value for an error: its type, and the value itself where it is short. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (value === null || ['number', 'boolean', 'undefined', 'bigint'].includes(typeof value)) return String(value);
  return Array.isArray(value) ? `a list of ${value.length}` : `a ${typeof value}`;
}

/** Throws `E_MANIFEST_INVALID` for a missing, unknown or wrong option; `owner` is, for example, `Task "send-email"`. */
export function checkOptions(owner: string, options: object, required: string[], table: Record<string, Check>): void {
  const fail = (problem: string) => new IsletError('E_MANIFEST_INVALID', `${owner} does not parse: ${problem}`);
  if (typeof options !== 'object' || options === null) throw fail(`expected options, got ${describe(options)}.`);
  const given = new Map(Object.entries(options));
  for (const key of required) if (!given.has(key)) throw fail(`\`${key}\` is missing. Add it to the manifest.`);
  for (const [key, value] of given) {
    const check = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!check) throw fail(`it has no option \`${key}\`.${didYouMean(key, Object.keys(table))}`);
    const expected = value === undefined ? undefined : check(value);
    if (expected) throw fail(`\`${key}\`: expected ${expected}, got ${describe(value)}.`);
  }
}
