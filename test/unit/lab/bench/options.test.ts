import { expect, test } from 'vitest';
import { parseOptions } from '../../../../lab/bench/options.ts';
import { UsageError } from '../../../../lab/kit/options.ts';

test('runs everything five times, and keeps the results with the code, without a flag', () => {
  const { sizes, only, out } = parseOptions([]);
  expect([sizes.rounds, sizes.loadJobs, sizes.noopJobs, only, out]).toEqual([
    5,
    5_000,
    20_000,
    undefined,
    'lab/bench/results.json',
  ]);
});

test.each([['--quick'], ['--only', 'load'], ['--rounds', '1'], ['--contenders', 'bullmq']])(
  'does not overwrite the kept results with a part: %s',
  (...flags) => {
    expect(parseOptions(flags).out).toBe('.islet/bench/results.json');
  },
);

test.each([
  [['--only', 'lod'], '--only takes cases of load, noop,'],
  [['--rounds', '0'], '--rounds must be a whole number from 1 to 100, got "0".'],
  [['--quik'], 'Known flags: --quick, --only,'],
])('refuses %j and names what it takes', (flags, message) => {
  expect(() => parseOptions(flags)).toThrow(UsageError);
  expect(() => parseOptions(flags)).toThrow(message);
});
