import convict from 'convict';
import { describe, expect, test } from 'vitest';
import { type IsletConfig, isletSettings, readConfig, readWorkerSettings } from '../../src/config.ts';
import { workerDefaults } from '../../src/manifest/defaults.ts';

function readSettings(env: Record<string, string>) {
  const config = convict(isletSettings as never, { args: [], env });
  const source = { env, file: 'config/none.json' };
  return readWorkerSettings(readConfig<IsletConfig>(config as never, isletSettings, source));
}

describe('the worker settings', () => {
  test('have their defaults, also in an app whose config has none', () => {
    expect(readSettings({})).toEqual(workerDefaults);
    expect(readWorkerSettings({})).toEqual(workerDefaults);
  });

  test('take numbers and truth values of a file as they are', () => {
    const expected = { ...workerDefaults, maxBlockMs: 5_000, maxCrashes: 1, guard: false };
    expect(readWorkerSettings({ worker: { maxBlock: 5_000, maxCrashes: 1, guard: false } })).toEqual(expected);
  });

  test.each([
    ['WORKER_GRACEFUL_TIMEOUT', '0', { gracefulTimeoutMs: 0 }],
    ['WORKER_GRACEFUL_TIMEOUT', '1500ms', { gracefulTimeoutMs: 1_500 }],
    ['WORKER_UNKNOWN_TASK_DEADLINE', '5m', { unknownTaskDeadlineMs: 300_000 }],
    ['WORKER_MAX_RELEASES', '0', { maxReleases: 0 }],
    ['WORKER_MAX_CRASHES', '5', { maxCrashes: 5 }],
    ['WORKER_WINDOW', '2d', { windowMs: 172_800_000 }],
    ['WORKER_MAX_ABANDONED', '1', { maxAbandoned: 1 }],
    ['WORKER_GUARD', 'false', { guard: false }],
    ['WORKER_MAX_BLOCK', '60000', { maxBlockMs: 60_000 }],
  ])('take %s=%s', (variable, value, expected) => {
    expect(readSettings({ [variable]: value })).toEqual({ ...workerDefaults, ...expected });
  });

  test.each([
    ['WORKER_GRACEFUL_TIMEOUT', 'gracefulTimeout', '25 s', '0ms'],
    ['WORKER_GRACEFUL_TIMEOUT', 'gracefulTimeout', '-5s', '0ms'],
    ['WORKER_UNKNOWN_TASK_DEADLINE', 'unknownTaskDeadline', '25d', '0ms'],
    ['WORKER_WINDOW', 'window', '', '1000ms'],
    ['WORKER_WINDOW', 'window', '999', '1000ms'],
    ['WORKER_MAX_BLOCK', 'maxBlock', '1.5s', '1000ms'],
  ])('refuse the duration %s: %s "%s"', (variable, key, value, from) => {
    expect(() => readSettings({ [variable]: value })).toThrow(
      `The configuration does not hold: \`worker.${key}\`: expected milliseconds or a duration such as 25s or 10m, ` +
        `from ${from} to 24d${value && `, got "${value}"`} (from environment variable ${variable}).`,
    );
  });

  test.each([
    ['WORKER_MAX_RELEASES', '20x', 'expected a whole number from 0'],
    ['WORKER_MAX_CRASHES', '0', 'expected a whole number from 1'],
    ['WORKER_MAX_ABANDONED', '-1', 'expected a whole number from 0'],
    ['WORKER_GUARD', 'no', 'expected true or false'],
  ])('refuse %s=%s', (variable, value, expected) => {
    expect(() => readSettings({ [variable]: value })).toThrow(expect.objectContaining({ code: 'E_CONFIG_INVALID' }));
    expect(() => readSettings({ [variable]: value })).toThrow(expected);
  });
});

const toMs = (text: string) =>
  text.replace('25s', '25000').replace('10m', '600000').replace('24h', '86400000').replace('2m', '120000');

test('the documented defaults are those in force', () => {
  for (const [key, { doc, default: value }] of Object.entries(isletSettings.worker)) {
    const documented = /Default: (\w+)\.$/.exec(doc)?.[1] ?? '';
    expect(`${key}: ${toMs(documented)}`).toBe(`${key}: ${value}`);
  }
});
