import { expect, test } from 'vitest';
import {
  CancelledError,
  IsletError,
  PermanentError,
  RateLimitedError,
  SnoozeError,
  TimeoutError,
} from '../../../../src/errors.ts';
import { carryError, reviveError } from '../../../../src/worker/pools/carried-error.ts';

/** Carries an error as from a thread or process to its worker. */
const cross = (thrown: unknown) => reviveError(JSON.parse(JSON.stringify(carryError(thrown))));

test.each([
  new IsletError('E_RESULT_INVALID', 'wrong'),
  new PermanentError('no use'),
  new TimeoutError('fit-curve', 5),
  new CancelledError('j', 'why not'),
  new SnoozeError(5),
  new RateLimitedError(7),
  new RangeError('out'),
])('%s keeps class, code, fields, message and stack', (error) => {
  const crossed = cross(error) as Error;
  expect(crossed.constructor).toBe(error.constructor);
  expect(crossed).toBeInstanceOf(Error);
  expect({ ...crossed }).toEqual({ ...error });
  expect([crossed.name, crossed.message, crossed.stack]).toEqual([error.name, error.message, error.stack]);
});

test('an error of another class keeps its name and what JSON can carry of it', () => {
  class OddError extends Error {
    override name = 'OddError';
    code = 'ODD';
    big = 1n;
    get worse() {
      throw new Error('not readable');
    }
  }
  const crossed = cross(new OddError('odd', { cause: new TypeError('because') })) as Error & { code: string };
  expect(crossed).toMatchObject({ name: 'OddError', message: 'odd', code: 'ODD' });
  expect(crossed.cause).toBeInstanceOf(TypeError);
  expect('big' in crossed).toBe(false);
});

test('a circle of causes ends', () => {
  const error = new Error('a');
  error.cause = error;
  expect((cross(error) as Error).message).toBe('a');
});

test.each([
  [undefined, 'undefined'],
  ['text', 'text'],
  [{ a: 1 }, { a: 1 }],
  [5n, '5'],
  [Symbol('s'), 'Symbol(s)'],
])('what is no error crosses as well as it can: %s', (thrown, expected) => {
  expect(cross(thrown)).toEqual(expected);
});
