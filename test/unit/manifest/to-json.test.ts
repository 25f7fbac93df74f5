import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { IsletError } from '../../../src/errors.ts';
import { toJson } from '../../../src/manifest/to-json.ts';
import { carried, converted, refused } from '../../support/json-values.ts';

const write = (value: unknown, maxBytes = 100_000) => toJson(value, 'The payload', 'E_PAYLOAD_INVALID', maxBytes);

describe('a value', () => {
  test.each(carried.map((value) => [value]))('arrives as it was: %j', (value) => {
    expect(JSON.parse(write(value))).toEqual(value);
  });

  test.each(converted)('arrives as its toJSON says, without what is undefined: %j', (value, arrives) => {
    expect(JSON.parse(write(value))).toStrictEqual(arrives);
  });

  test.each(refused)('is refused with its path: %s', (_, make, problem) => {
    expect(() => write(make())).toThrow(`The payload cannot travel as JSON: `);
    expect(() => write(make())).toThrow(problem);
    expect(() => write(make())).toThrow(expect.objectContaining({ code: 'E_PAYLOAD_INVALID' }));
    expect(() => write(make())).not.toThrow('secret-5b1e');
  });

  test('may come from another realm', () => {
    expect(write(runInNewContext('({ list: [{ at: new Date(0) }] })'))).toBe(
      '{"list":[{"at":"1970-01-01T00:00:00.000Z"}]}',
    );
    expect(() => write(runInNewContext('[new Date(NaN)]'))).toThrow('value[0] is an invalid Date');
    expect(() => write(runInNewContext('[new Map()]'))).toThrow('value[0] is a Map');
  });

  test('is read once, so that what was checked is what travels', () => {
    let reads = 0;
    const fickle = Object.defineProperty({}, 'a', {
      get: () => (reads++ === 0 ? 'text' : new Map()),
      enumerable: true,
    });
    expect(write(fickle)).toBe('{"a":"text"}');
  });

  test('keeps what it threw as the cause', () => {
    const cause = new Error('no');
    const failure = (() => {
      try {
        return write({
          toJSON: () => {
            throw cause;
          },
        });
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(IsletError);
    expect(failure).toHaveProperty('cause', cause);
  });

  test('that holds one part many times is refused in time', () => {
    let value: unknown = ['text'];
    for (let level = 0; level < 100; level += 1) value = [value, value];
    expect(() => write(value)).toThrow('is over 200000 bytes of JSON, the limit is 100000');
  });

  test('is measured in bytes', () => {
    expect(write('é', 4)).toBe('"é"');
    expect(() => write('éé', 4)).toThrow('is 6 bytes of JSON, the limit is 4. Store it elsewhere');
  });
});
