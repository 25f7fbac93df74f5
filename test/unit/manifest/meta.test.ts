import { expect, test } from 'vitest';
import { readMeta } from '../../../src/manifest/meta.ts';

const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, 'v']));
const euros = (count: number) => '€'.repeat(count);

test.each<[string, object]>([
  ['texts', { tenant: 'acme', empty: '', line: 'a\n\0b', face: '😀' }],
  ['16 fields', fields(16)],
  ['a name of 64 characters', { ['é'.repeat(64)]: 'v' }],
  ['a value of 256 bytes', { v: `${euros(85)}x` }],
  ['names that other objects have', JSON.parse('{"__proto__":"a","constructor":"b","1":"c"}')],
  ['what has no prototype', Object.assign(Object.create(null), { tenant: 'acme' })],
])('a meta of %s is read as it is, into a frozen object', (_, given) => {
  const { meta, problem } = readMeta(given);
  expect(problem).toBeUndefined();
  expect(Object.entries(meta ?? {})).toEqual(Object.entries(given));
  expect(Object.getPrototypeOf(meta)).toBe(Object.prototype);
  expect(Object.isFrozen(meta)).toBe(true);
});

test('fields that are not set are left out, and a meta without fields is none', () => {
  expect(readMeta({ tenant: undefined, trace: 't' })).toEqual({ meta: { trace: 't' } });
  expect(readMeta({})).toEqual({});
  expect(readMeta({ ...fields(16), unset: undefined })).toEqual({ meta: fields(16) });
});

test.each<[unknown, string]>([
  [fields(17), 'it has 17 fields'],
  [{ v: euros(86) }, 'field "v" has 258 bytes'],
  [{ v: 'x'.repeat(257) }, 'field "v" has 257 bytes'],
  [{ '': 'v' }, 'the name of field "" is not 1 to 64 whole characters'],
  [{ ['n'.repeat(65)]: 'v' }, `the name of field "${'n'.repeat(64)}" is not 1 to 64 whole characters`],
  [{ 'half \ud83d': 'v' }, 'the name of field "half \\ud83d" is not 1 to 64 whole characters'],
  [{ v: 'secret \ud83d' }, 'field "v" has half of a pair of surrogates'],
  [{ v: 4711 }, 'field "v" is a number'],
  [{ v: null }, 'field "v" is null'],
  [{ v: { secret: 1 } }, 'field "v" is an object'],
  [JSON.parse('{"__proto__":{"tenant":"acme"}}'), 'field "__proto__" is an object'],
  [null, 'it is null'],
  ['secret', 'it is a string'],
  [['secret'], 'it is an Array'],
  [new Map([['tenant', 'acme']]), 'it is a Map'],
  [Promise.resolve({ tenant: 'acme' }), 'it is a Promise'],
])('%j is refused, without a value of it', (given, problem) => {
  expect(readMeta(given)).toEqual({ problem });
});

test('what was checked is what travels: a getter is called once', () => {
  const values = ['acme', 7];
  const given = Object.defineProperty({}, 'tenant', { enumerable: true, get: () => values.shift() });
  expect(readMeta(given)).toEqual({ meta: { tenant: 'acme' } });
});
