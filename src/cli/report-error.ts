import { hidePasswords, IsletError } from '../errors.ts';

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

/** Writes an error for people, with its stack only if asked for; returns the exit code. */
export function reportError(error: unknown, verbose: boolean): number {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof IsletError ? error.code : 'E_UNEXPECTED';
  const cause = thrown.cause instanceof Error ? `\ncaused by ${thrown.cause.stack}` : '';
  const text = verbose ? `${code}: ${thrown.stack}${cause}` : `${code}: ${thrown.message}`;
  process.stderr.write(`${hidePasswords(text)}\n`);
  return usageCodes.has(code) ? 2 : 1;
}
