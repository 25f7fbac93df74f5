import { hidePasswords, IsletError } from '../errors.ts';
import { isError, messageOf, read, stackOf } from '../thrown.ts';

/** Thrown when the command line itself is wrong. */
export class UsageError extends IsletError {
  constructor(message: string) {
    super('E_USAGE', message);
  }
}

const usageCodes = new Set([
  'E_USAGE',
  'E_TASK_UNKNOWN',
  'E_QUEUE_UNKNOWN',
  'E_PAYLOAD_INVALID',
  'E_ENQUEUE_OPTIONS_INVALID',
  'E_JOB_AMBIGUOUS',
  'E_NAME_INVALID',
  'E_REDIS_MISSING',
  'E_MEMORY_LIMIT_LOW',
]);

/** An app's list of problems may be long. */
const whole = Number.POSITIVE_INFINITY;

/** Writes an error for people, with its stack only if asked for; returns the exit code. */
export function reportError(error: unknown, verbose: boolean): number {
  const code = error instanceof IsletError ? error.code : 'E_UNEXPECTED';
  const said = messageOf(error, whole);
  const cause = read(error, 'cause');
  const caused = isError(cause) ? `\ncaused by ${stackOf(cause, whole)}` : '';
  const text = `${code}: ${verbose ? `${stackOf(error, whole) || said}${caused}` : said}`;
  process.stderr.write(`${hidePasswords(text)}\n`);
  return usageCodes.has(code) ? 2 : 1;
}
