import { IsletError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';
import { isRedactPath } from './redact.ts';

/** Returns what was expected, or nothing when the value is right. */
export type Check = (value: unknown) => string | undefined;
export type Checks = Record<string, Check>;

/** Creates a check that expects a value for which `is` holds. */
export function expecting(what: string, is: (value: unknown) => boolean): Check {
  return (value) => {
    try {
      return is(value) ? undefined : what;
    } catch {
      // A value may refuse to be looked at.
      return what;
    }
  };
}

const namePattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** Matches a package's name, as it stands before any path in it; `*` is any part of it. */
const packagePattern = /^(@[\w*][\w.*-]*\/)?[\w*][\w.*-]*$/;

/** UTF-8 cannot carry half of a pair of surrogates. */
const isText = (value: unknown) => typeof value === 'string' && !/\p{Cs}/u.test(value);
const isName = (value: unknown) => typeof value === 'string' && value.length <= 100 && namePattern.test(value);
const isKeyPart = (value: unknown) => isText(value) && `${value}`.length >= 1 && `${value}`.length <= 200;
const isJobName = (value: unknown) => isText(value) && (value as string).length <= 500;
const isPackage = (value: unknown) => typeof value === 'string' && packagePattern.test(value);
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (is: (item: unknown) => boolean) => (value: unknown) => Array.isArray(value) && value.every(is);

export const checks = {
  /** An object whose fields can be read. */
  object: expecting('an object', (value) => isObject(value) && Object.entries(value).length >= 0),
  callable: expecting('a function', (value) => typeof value === 'function'),
  flag: expecting('true or false', (value) => typeof value === 'boolean'),
  /** What `defineTask` returns. */
  task: expecting("a task's manifest", (value) => isObject(value) && (value as { kind?: unknown }).kind === 'task'),
  name: expecting('lower-case words with hyphens, at most 100 characters', isName),
  /** A queue's name, or what `defineQueue` returns. */
  queue: expecting(
    "a queue's name (lower-case words with hyphens, at most 100 characters) or a queue's manifest",
    (value) => isName(value) || (isObject(value) && (value as { kind?: unknown }).kind === 'queue'),
  ),
  /** A name that BullMQ takes for a queue. */
  bullmqName: expecting(
    "a text of 1 to 200 characters without ':'",
    (value) => isKeyPart(value) && !`${value}`.includes(':'),
  ),
  /** A prefix that BullMQ takes for its keys. */
  bullmqPrefix: expecting('a text of 1 to 200 characters', (value) => isKeyPart(value)),
  /** The names of jobs, of which BullMQ takes any that Redis can keep. */
  jobNames: expecting('a list of texts of at most 500 characters', listOf(isJobName)),
  paths: expecting('a list of paths such as "email", "user.email", "items.*.card" or "*"', listOf(isRedactPath)),
  text: expecting('a string without lone surrogates', isText),
  packages: expecting('a list of package names, such as "sharp" or "@scope/*"', listOf(isPackage)),
  integer(min: number, max = Number.MAX_SAFE_INTEGER): Check {
    const what = `an integer from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`;
    return expecting(what, (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max);
  },
  /** Milliseconds that a timer of Node's waits: it takes longer ones for 1. */
  timerMs: (min: number): Check => checks.integer(min, 2_147_483_647),
  /** Milliseconds that Redis waits, ten years at most: its scripts write longer ones as no integer. */
  redisMs: (min: number): Check => checks.integer(min, 315_360_000_000),
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
  if (value === null || ['number', 'boolean', 'undefined'].includes(typeof value)) return String(value);
  try {
    return Array.isArray(value) ? `a list of ${value.length}` : `a ${typeof value}`;
  } catch {
    return `a ${typeof value}`;
  }
}

/** Names what has these options, also where its name is none: `Task "send-email"`. */
export function nameOwner(kind: string, options: { name?: unknown } | undefined): string {
  const name = options?.name;
  return typeof name === 'string' ? `${kind} ${describe(name)}` : `${kind} "${describe(name)}"`;
}

/** Creates the error for a manifest; `owner` is, for example, `Task "send-email"`. */
export function invalid(owner: string, problem: string, code = 'E_MANIFEST_INVALID'): IsletError {
  return new IsletError(code, `${owner} does not parse: ${problem}`);
}

/** Returns the options that are not undefined. Throws `code` for a missing, unknown or wrong one. */
export function checkOptions<T extends object>(
  owner: string,
  options: T,
  required: string[],
  table: Checks,
  code = 'E_MANIFEST_INVALID',
): T {
  if (!isObject(options)) throw invalid(owner, `expected options, got ${describe(options)}.`, code);
  const all = Object.entries(options);
  const given = Object.fromEntries(all.filter(([, value]) => value !== undefined));
  const missing = required.find((key) => !Object.hasOwn(given, key));
  if (missing !== undefined) throw invalid(owner, `\`${missing}\` is missing. Add it.`, code);
  for (const [key, value] of all) {
    const check = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!check)
      throw invalid(owner, `it has no option \`${key.slice(0, 60)}\`.${didYouMean(key, Object.keys(table))}`, code);
    const expected = value === undefined ? undefined : check(value);
    if (expected) throw invalid(owner, `\`${key}\`: expected ${expected}, got ${describe(value)}.`, code);
  }
  return given as T;
}

/** Throws for an argument that a check refuses; `what` is, for example, "The `id` of cancel". */
export function checkValue(what: string, value: unknown, check: Check, code = 'E_OPTIONS_INVALID'): void {
  const expected = check(value);
  if (expected) throw new IsletError(code, `${what}: expected ${expected}, got ${describe(value)}.`);
}
