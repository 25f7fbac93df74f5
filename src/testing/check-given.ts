import { IsletError } from '../errors.ts';
import { type Check, type Checks, checkOptions, checkValue, expecting } from '../manifest/check-options.ts';
import { type JobMeta, metaLimits, noMeta, readMeta } from '../manifest/meta.ts';

/** Makes the error of a test that gives the kit something that it cannot work with. */
export function misused(message: string): IsletError {
  return new IsletError('E_TEST_INVALID', message);
}

/** Accepts the meta of a job. */
export const metaCheck = expecting(metaLimits, (value) => readMeta(value).problem === undefined);

/** Returns the meta that a task sees. */
export const copyMeta = (given: JobMeta | undefined): JobMeta => readMeta(given ?? {}).meta ?? noMeta;

/** Throws `E_TEST_INVALID` for a value that a check refuses; `what` is, for example, "`concurrency` of drain". */
export function checkGiven(what: string, value: unknown, check: Check): void {
  checkValue(what, value, check, 'E_TEST_INVALID');
}

/** Throws `E_TEST_INVALID` for an option that is missing, unknown or wrong; `of` is, for example, "drain". */
export function checkGivenOptions<T extends object>(of: string, options: T, table: Checks, required: string[] = []): T {
  return checkOptions(`An option of ${of}`, options, required, table, 'E_TEST_INVALID');
}
