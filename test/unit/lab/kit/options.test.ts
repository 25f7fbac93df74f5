import { expect, test } from 'vitest';
import { oneOf, parseFlags, someOf, UsageError, wholeNumber } from '../../../../lab/kit/options.ts';

const flags = { jobs: { type: 'string', default: '5' }, json: { type: 'boolean' } } as const;

test('parses flags, with their defaults', () => {
  expect(parseFlags(['--json'], flags)).toEqual({ jobs: '5', json: true });
  expect(someOf('--only', 'b,a', ['a', 'b'], 'parts')).toEqual(['b', 'a']);
});

test.each([
  ['an unknown flag', () => parseFlags(['--jbos', '1'], flags), /--jbos.* Known flags: --jobs, --json\.$/],
  ['a word that is no flag', () => parseFlags(['jobs'], flags), /Known flags: --jobs, --json\.$/],
  ['a flag where there are none', () => parseFlags(['--json'], {}), /There are no flags\.$/],
  ['a flag in place of a value', () => parseFlags(['--jobs', '-1'], flags), /^[^\n]*Known flags/],
  ['a number that is not whole', () => wholeNumber('--jobs', '1.5', 1, 9), /^--jobs must be a whole .*, got "1\.5"\.$/],
  ['a number out of its range', () => wholeNumber('--jobs', '10', 1, 9), /from 1 to 9, got "10"\.$/],
  ['an unknown value', () => oneOf('--only', 'c', ['a', 'b']), /^--only must be one of a, b, got "c"\.$/],
  [
    'an unknown one of several',
    () => someOf('--only', 'a,c', ['a', 'b'], 'parts'),
    /^--only takes parts of a, b, .*"c"/,
  ],
])('refuses %s, in one line', (_what, parse, message) => {
  expect(parse).toThrow(UsageError);
  expect(parse).toThrow(message);
});
