import { expect, test } from 'vitest';
import { parseOptions } from '../../../../lab/chaos/options.ts';
import { UsageError } from '../../../../lab/kit/options.ts';

test('takes the run of the proof without flags', () => {
  const defaults = {
    jobs: 10_000,
    seed: 1,
    durationMs: 180_000,
    workers: 4,
    only: undefined,
    json: false,
    bare: false,
  };
  expect(parseOptions([])).toEqual(defaults);
});

test('takes seconds in place of minutes', () => {
  expect(parseOptions(['--seconds', '45'])).toMatchObject({ durationMs: 45_000 });
});

test.each([
  [['--jobs', '0'], '--jobs must be a whole number from 1 to 1000000, got "0".'],
  [['--seed', 'x'], '--seed must be a whole number from 0 to 4294967295, got "x".'],
  [['--seconds', '9'], '--seconds must be a whole number from 10 to 86400, got "9".'],
  [['--seconds', '20', '--minutes', '1'], 'Give --minutes or --seconds, not both.'],
  [['--only', 'sigkil'], '--only must be one of sigkill, restarts, freeze, worker-kill, parent-kill, blocks'],
  [['--wokers', '4'], 'Known flags: --jobs, --seed'],
])('refuses %j', (args, message) => {
  expect(() => parseOptions(args)).toThrow(UsageError);
  expect(() => parseOptions(args)).toThrow(message);
});
