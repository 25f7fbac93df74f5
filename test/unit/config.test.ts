import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import convict from 'convict';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { type IsletConfig, isletSettings, loadEnvFile, readConfig, readWorkerSettings } from '../../src/config.ts';
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
    ['WORKER_GUARD', 'off', { guard: false }],
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
      `The configuration is wrong: \`worker.${key}\`: expected milliseconds or a duration such as 25s or 10m, ` +
        `from ${from} to 24d${value && `, got "${value}"`} (from environment variable ${variable}).`,
    );
  });

  test.each([
    ['WORKER_MAX_RELEASES', '20x', 'expected a whole number from 0'],
    ['WORKER_MAX_CRASHES', '0', 'expected a whole number from 1'],
    ['WORKER_MAX_ABANDONED', '-1', 'expected a whole number from 0'],
    ['WORKER_GUARD', 'maybe', 'expected true or false'],
  ])('refuse %s=%s', (variable, value, expected) => {
    expect(() => readSettings({ [variable]: value })).toThrow(expect.objectContaining({ code: 'E_CONFIG_INVALID' }));
    expect(() => readSettings({ [variable]: value })).toThrow(expected);
  });
});

const appSchema = {
  ...isletSettings,
  app: {
    flag: { format: Boolean, default: true, env: 'FLAG' },
    guessed: { default: false, env: 'GUESSED' },
    num: { format: 'nat', default: 5, env: 'NUM' },
    ratio: { format: Number, default: 0.5, env: 'RATIO' },
    secret: { format: 'int', default: 1, env: 'SECRET', sensitive: true },
    text: { format: String, default: 'a', env: 'TEXT' },
  },
};

function readApp(env: Record<string, string>) {
  const config = convict(appSchema as never, { args: [], env });
  const source = { env, file: `config/${env.NODE_ENV ?? 'none'}.json` };
  return readConfig<{ app: Record<string, unknown> }>(config as never, appSchema, source).app;
}

describe('the settings of an app', () => {
  test.each<readonly [string, string, object]>([
    ...['0', 'off', 'no', 'false', 'FALSE'].map((text) => ['FLAG', text, { flag: false }] as const),
    ...['1', 'on', 'yes', 'true'].map((text) => ['GUESSED', text, { guessed: true }] as const),
    ['NUM', '12', { num: 12 }],
    ['RATIO', '-1.5e3', { ratio: -1_500 }],
    ['TEXT', 'off', { text: 'off' }],
  ])('take %s=%s', (variable, text, expected) => {
    expect(readApp({ [variable]: text })).toMatchObject(expected);
  });

  test.each([
    ['FLAG', 'maybe', '`app.flag`: expected true or false, got "maybe" (from environment variable FLAG)'],
    ['FLAG', '', '`app.flag`: expected true or false, got ""'],
    ['GUESSED', '2', '`app.guessed`: expected true or false, got "2"'],
    ['NUM', '12abc', '`app.num`: expected a number, got "12abc" (from environment variable NUM)'],
    ['NUM', '-1', '`app.num`'],
    ['RATIO', '0x10', '`app.ratio`: expected a number, got "0x10"'],
    ['SECRET', '5hunter2', '`app.secret`: expected a number (from environment variable SECRET)'],
  ])('refuse %s=%s', (variable, text, problem) => {
    expect(() => readApp({ [variable]: text })).toThrow(expect.objectContaining({ code: 'E_CONFIG_INVALID' }));
    expect(() => readApp({ [variable]: text })).toThrow(problem);
  });

  test.each([
    'redis:u:hunter2@h',
    'redis//u:hunter2@h',
    'redis://u:hunter2',
    'redis://h/hunter2',
    'redis://h?a=hunter2',
  ])('refuse REDIS_URL=%s without its password', (url) => {
    expect(() => readApp({ REDIS_URL: url })).toThrow('`redis.url`: expected a redis:// or rediss:// URL, and');
    expect(() => readApp({ REDIS_URL: url })).not.toThrow('hunter2');
  });

  test.each<[Record<string, string>, string[]]>([
    [
      { WORKER_MAXRELEASES: '5' },
      ['The environment variable WORKER_MAXRELEASES sets nothing. Did you mean WORKER_MAX_RELEASES?'],
    ],
    [{ REDIS_URI: 'redis://h' }, ['The environment variable REDIS_URI sets nothing. Did you mean REDIS_URL?']],
    [{ redis_url: 'redis://h' }, ['The environment variable redis_url sets nothing. Did you mean REDIS_URL?']],
    [{ REDIS_URI: 'redis://h', REDIS_URL: 'redis://h' }, []],
    [{ REDIS_HOST: 'h', NODE_OPTIONS: '', PATH: '', WORKER_MAX_AGE: '1h', LOG_FILE: 'x', FLAGS: '1x' }, []],
    [
      { NODE_ENV: 'prod' },
      [
        'NODE_ENV is "prod", but there is no config/prod.json, so the defaults apply. Known: development, production, test.',
      ],
    ],
    [{ NODE_ENV: 'test' }, []],
    [{ NODE_ENV: 'production' }, []],
  ])('are warned of %j', (env, expected) => {
    const warned: string[] = [];
    const spy = vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warned.push(String(text)));
    readApp(env);
    spy.mockRestore();
    expect(warned).toEqual(expected);
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

describe('the file .env', () => {
  const folder = mkdtempSync(join(tmpdir(), 'islet-env-'));
  const file = join(folder, '.env');

  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => rmSync(folder, { recursive: true }));

  test('sets what is not set, in development only', () => {
    for (const name of ['ISLET_UNSET', 'ISLET_SET']) vi.stubEnv(name, undefined);
    writeFileSync(file, 'ISLET_UNSET=from the file\nISLET_SET=from the file\n');
    vi.stubEnv('ISLET_SET', 'before');
    loadEnvFile('production', file);
    expect(process.env.ISLET_UNSET).toBeUndefined();
    loadEnvFile('development', file);
    expect([process.env.ISLET_UNSET, process.env.ISLET_SET]).toEqual(['from the file', 'before']);
  });

  test('may be missing, but not unreadable', () => {
    loadEnvFile('development', join(folder, 'none'));
    expect(() => loadEnvFile('development', folder)).toThrow(`${folder} cannot be read: `);
  });
});
