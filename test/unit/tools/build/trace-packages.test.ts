import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tracePackages } from '../../../../src/tools/build/trace-packages.ts';

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'islet-trace-')));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function install(files: Record<string, string | object>): void {
  for (const [name, content] of Object.entries(files)) {
    const file = join(root, 'node_modules', name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
}

async function trace(specifier: string, whole: string[] = []): Promise<Record<string, readonly string[]>> {
  const options = { files: [], root, whole: new Set(whole), excluded: new Set<string>() };
  const traced = await tracePackages([{ specifier, folder: root, kind: 'import' }], options);
  return Object.fromEntries(traced.packages.map(({ name, version, files }) => [`${name} ${version}`, files]));
}

test('takes the files that are imported, and those of the packages that these import', async () => {
  install({
    'a/package.json': { name: 'a', version: '1.0.0', main: 'main.js' },
    'a/main.js': `require('./used.js'); require('b');`,
    'a/used.js': '',
    'a/unused.js': '',
    'b/package.json': { name: 'b', version: '2.0.0' },
    'b/index.js': '',
    'c/package.json': { name: 'c', version: '3.0.0' },
    'c/index.js': '',
  });
  expect(await trace('a')).toEqual({
    'a 1.0.0': ['main.js', 'package.json', 'used.js'],
    'b 2.0.0': ['index.js', 'package.json'],
  });
});

test('takes the code of a whole package whose imports are computed, but neither its papers nor its types', async () => {
  install({
    'a/package.json': { name: 'a', version: '1.0.0' },
    'a/index.js': 'module.exports = (name) => require(name());',
    'a/drivers/x.js': '',
    'a/drivers/x.d.ts': '',
    'a/README.md': '',
    'a/node_modules/inner/index.js': '',
  });
  expect(await trace('a', ['a'])).toEqual({ 'a 1.0.0': ['drivers/x.js', 'index.js', 'package.json'] });
});

test('takes what is installed for this system, whose name nothing in the code tells, with what that needs', async () => {
  const optionalDependencies = { '@a/here': '1.0.0', '@a/elsewhere': '1.0.0', 'plain-optional': '1.0.0' };
  install({
    'a/package.json': { name: 'a', version: '1.0.0', optionalDependencies },
    'a/index.js': '',
    '@a/here/package.json': { name: '@a/here', version: '1.0.0', os: ['x'], optionalDependencies: { '@a/lib': '1' } },
    '@a/here/here.node': '',
    '@a/lib/package.json': { name: '@a/lib', version: '1.0.0', cpu: ['y'] },
    '@a/lib/lib.so.8': '',
    'plain-optional/package.json': { name: 'plain-optional', version: '1.0.0' },
    'plain-optional/index.js': '',
  });
  expect(await trace('a')).toEqual({
    '@a/here 1.0.0': ['here.node', 'package.json'],
    '@a/lib 1.0.0': ['lib.so.8', 'package.json'],
    'a 1.0.0': ['index.js', 'package.json'],
  });
});
