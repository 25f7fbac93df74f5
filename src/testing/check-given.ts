import { IsletError } from '../errors.ts';
import { type Check, describe } from '../manifest/check-options.ts';

/** Makes the error of a test that gives the kit something that it cannot work with. */
export function misused(message: string): IsletError {
  return new IsletError('E_TEST_INVALID', message);
}

/** Throws `E_TEST_INVALID` for a value that a check refuses; `what` is, for example, "`concurrency` of drain". */
export function checkGiven(what: string, value: unknown, check: Check): void {
  const expected = check(value);
  if (expected) throw misused(`${what}: expected ${expected}, got ${describe(value)}.`);
}
