import { isLiteral, nameOf } from './to-json.ts';

/**
 * Texts that travel beside the payload of a job, and of the jobs that it enqueues, such as its tenant. Whoever can write
 * to Redis can write them, so do not trust them.
 */
export type JobMeta = Readonly<Record<string, string | undefined>>;

/** The meta of every job that has none. */
export const noMeta: JobMeta = Object.freeze({});

const most = { fields: 16, nameLength: 64, valueBytes: 256 };
const namePattern = new RegExp(`^[^\\p{Cs}]{1,${most.nameLength}}$`, 'u');

/** Says how wide a meta may be. */
export const metaLimits = `at most ${most.fields} texts of at most ${most.valueBytes} bytes`;

/** Returns a frozen copy of a meta's fields that are set, nothing where there is none, or what is wrong, without a value. */
export function readMeta(given: unknown): { meta?: JobMeta; problem?: string } {
  if (typeof given !== 'object' || given === null) return { problem: `it is ${typeNameOf(given)}` };
  if (!isLiteral(given)) return { problem: `it is ${nameOf(given)}` };
  // What is checked is what travels: a getter is called once.
  const fields = Object.entries(given).filter(([, value]) => value !== undefined);
  if (fields.length === 0) return {};
  if (fields.length > most.fields) return { problem: `it has ${fields.length} fields` };
  for (const [name, value] of fields) {
    const problem = findProblem(name, value);
    if (problem !== undefined) return { problem };
  }
  return { meta: Object.freeze(Object.fromEntries(fields)) };
}

function typeNameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

/** Says what is wrong with a field. */
function findProblem(name: string, value: unknown): string | undefined {
  const field = `field ${JSON.stringify(name.slice(0, most.nameLength))}`;
  if (!namePattern.test(name)) return `the name of ${field} is not 1 to ${most.nameLength} whole characters`;
  if (typeof value !== 'string') return `${field} is ${typeNameOf(value)}`;
  const bytes = Buffer.byteLength(value);
  if (bytes > most.valueBytes) return `${field} has ${bytes} bytes`;
  return /\p{Cs}/u.test(value) ? `${field} has half of a pair of surrogates` : undefined;
}
