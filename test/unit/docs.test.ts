import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isletSettings, readWorkerSettings } from '../../src/config.ts';
import { queueDefaults, taskDefaults, workerDefaults } from '../../src/manifest/defaults.ts';

const documents = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...filesIn('docs', /\.md$/)];
const codes = [...filesIn('src', /\.ts$/), ...filesIn('bin', /\.js$/)].flatMap((file) => codesOf(read(file)));

test('docs/errors.md has one row for each error code of the code, and none else', () => {
  const rows = tableOf('docs/errors.md', 'Codes').map(([code]) => code);
  expect(rows).toEqual([...new Set(codes)].sort());
});

test('README.md is short enough for somebody who has just come', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(121);
});

test.each(documents)('%s names no error code that the code does not have', (document) => {
  expect(codesOf(read(document)).filter((code) => !codes.includes(code))).toEqual([]);
});

describe('docs/configuration.md', () => {
  const rows = tableOf('docs/configuration.md', 'Settings');
  const settings = listSettings(isletSettings);
  const ofWorker = ([setting]: string[]) => setting?.startsWith('worker.') === true;

  test('has one row for each setting, with its environment variable', () => {
    expect(rows.map(([setting, variable]) => [setting, variable])).toEqual(settings.map(([path, env]) => [path, env]));
  });

  test('has the defaults of the settings', () => {
    const defaults = new Map(settings.map(([path, , value]) => [path, value]));
    for (const [setting = '', , value] of rows.filter((row) => !ofWorker(row))) {
      expect([setting, value]).toEqual([setting, defaults.get(setting)]);
    }
  });

  test('has the defaults of a worker', () => {
    const worker = rows.filter(ofWorker).map(([setting = '', , value]) => [setting.replace('worker.', ''), value]);
    expect(readWorkerSettings({ worker: Object.fromEntries(worker) })).toEqual(workerDefaults);
  });
});

test.each([
  ['docs/delivery.md', 'Settings', queueDefaults],
  ['docs/adopting.md', '2. Compare the limits', queueDefaults],
])('%s has the defaults of the manifests', (document, heading, ofQueues) => {
  const defaults = new Map([...flatten('task', taskDefaults), ...flatten('queue', ofQueues)]);
  for (const [setting, manifest, value = ''] of tableOf(document, heading)) {
    const key = `${manifest}: ${setting}`;
    expect([key, parseDefault(value)]).toEqual([key, defaults.get(key)]);
  }
});

test.each(documents)('each relative link of %s leads to something', (document) => {
  const links = [...read(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  const broken = links.filter((link) => !/^https?:/.test(link) && !leadsSomewhere(document, link));
  expect(broken).toEqual([]);
});

test.each(['docs/internals.md', 'CONTRIBUTING.md'])('%s names only files and folders that are there', (document) => {
  const paths = [...read(document).matchAll(/`((?:src|lab|test|bin|docs|templates|config)\/[a-z./-]*)`/g)];
  expect(paths.length).toBeGreaterThan(5);
  expect(paths.map(([, path = '']) => path).filter((path) => !existsSync(path))).toEqual([]);
});

function read(file: string): string {
  return readFileSync(file, 'utf8');
}

function filesIn(folder: string, name: RegExp): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => name.test(file)).map((file) => join(folder, file));
}

function codesOf(text: string): string[] {
  return text.match(/\bE_[A-Z]+(?:_[A-Z]+)*\b/g) ?? [];
}

/** The cells of the first table below a heading, without its head and without backticks. */
function tableOf(document: string, heading: string): string[][] {
  const [, section = ''] = read(document).split(`\n## ${heading}\n`);
  const [table = ''] = /(?:^\|.*\n)+/m.exec(section) ?? [];
  const rows = table.trim().split('\n').slice(2);
  if (rows.length === 0) throw new Error(`${document} has no table below "## ${heading}".`);
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1')),
  );
}

/** Name, environment variable and default of each setting. */
function listSettings(node: object, path: string[] = []): [string, string, string][] {
  return Object.entries(node).flatMap(([key, value]) => {
    const here = [...path, key];
    if (!('default' in value)) return listSettings(value, here);
    return [[here.join('.'), value.env, value.default ?? 'none'] as [string, string, string]];
  });
}

function flatten(manifest: string, defaults: object, path = ''): [string, unknown][] {
  return Object.entries(defaults).flatMap(([key, value]) =>
    typeof value === 'object'
      ? flatten(manifest, value, `${key}.`)
      : [[`${manifest}: ${path}${key}`, value] as [string, unknown]],
  );
}

/** A documented default as it stands in code: times in milliseconds. */
function parseDefault(text: string): unknown {
  const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  const [, amount, unit = ''] = /^([\d.]+)([smhd]?)$/.exec(text) ?? [];
  return amount === undefined ? text : Number(amount) * (units[unit] ?? 1);
}

function leadsSomewhere(document: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? document : join(dirname(document), path);
  if (!existsSync(target)) return false;
  return anchor === undefined || headingsOf(target).includes(anchor);
}

/** As GitHub names them. */
function headingsOf(document: string): string[] {
  const headings = [...read(document).matchAll(/^#+ (.*)$/gm)];
  return headings.map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
