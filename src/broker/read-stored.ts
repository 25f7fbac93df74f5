import { Job, type JobsOptions } from 'bullmq';
import { checks } from '../manifest/check-options.ts';
import { readMeta } from '../manifest/meta.ts';
import { isTooDeep } from '../manifest/nesting.ts';
import { jobFields as field } from './bullmq-names.ts';
import { isReadable, isTime, type StoredMemory } from './memory.ts';

// Anybody may have written a job: what cannot be read fails that job, and not a fetch, a stop or a neighbour.

interface Read<T> {
  readonly value: T;
  /** Why it cannot be read. */
  readonly problem?: string;
}

/** Reads JSON that is stored, or says why that cannot be done. */
export function readJson<T>(text: string | undefined, otherwise: T, parse: (text: string) => T = JSON.parse): Read<T> {
  if (text === undefined) return { value: otherwise };
  if (isTooDeep(text)) return { value: otherwise, problem: 'it is nested too deep' };
  try {
    return { value: parse(text) };
  } catch (error) {
    // What the parser says may show a part of a payload.
    const problem = error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message;
    return { value: otherwise, problem };
  }
}

const isCount = checks.integer(1);

function parseOptions(text: string): JobsOptions {
  if (!text.trimStart().startsWith('{')) throw new Error('it is not an object');
  const options: JobsOptions & { islet?: unknown } = Job.optsFromJSON(text);
  const { islet } = options;
  const repeat: unknown = Reflect.get(options, 'repeat');
  if (repeat !== undefined && (typeof repeat !== 'object' || repeat === null))
    throw new Error('`repeat` is not an object');
  if (islet === undefined) return options;
  if (typeof islet !== 'object' || islet === null) throw new Error('`islet` is not an object');
  for (const name of ['version', 'keepResultMs']) {
    const value: unknown = Reflect.get(islet, name);
    const expected = value === undefined ? undefined : isCount(value);
    if (expected !== undefined) throw new Error(`\`islet.${name}\` is not ${expected}`);
  }
  // A meta that no producer could have sent counts as none: it is no reason to fail a job.
  if (Object.hasOwn(islet, 'meta')) Reflect.set(islet, 'meta', readMeta(Reflect.get(islet, 'meta')).meta);
  return options;
}

/** Reads the options of a job, of which Islet's own part is checked. */
export const readOptions = (text: string | undefined): Read<JobsOptions> => readJson(text, {}, parseOptions);

const counters = [field.starts, field.attempts, field.stalls, field.priority] as const;

/** Returns which field of a job's hash cannot be read, and why; nothing when all can. */
export function findProblem(
  hash: Readonly<Record<string, string | undefined>>,
  memory: StoredMemory,
): string | undefined {
  if (hash[field.name] === undefined) return `\`${field.name}\` is missing`;
  if (!isTime(Number(hash[field.timestamp]))) return `\`${field.timestamp}\` is not a time`;
  for (const name of counters) {
    const value = hash[name];
    if (value !== undefined && !/^\d{1,15}$/.test(value)) return `\`${name}\` is not a count`;
  }
  return isReadable(memory) ? undefined : 'what Islet remembers of it is not a list of times';
}
