import { describe, expect, test } from 'vitest';
import { findComputedImports, looksBesideItself, shorten } from '../../../../src/tools/build/judge-module.ts';
import { nameSources } from '../../../../src/tools/build/source-maps.ts';

describe('a module looks beside itself', () => {
  test.each([
    ['__dirname', 'const file = require("path").join(__dirname, "a.txt");'],
    ['__filename', 'module.exports = () => __filename;'],
    ['import.meta.url', 'export const file = new URL("./a.txt", import.meta.url);'],
    ['import.meta.dirname', 'export const folder = import.meta.dirname;'],
  ])('when it uses %s', async (_, text) => {
    expect(await looksBesideItself(text)).toBe(true);
  });

  test.each([
    ['a comment', '// __dirname\nexport const a = 1;'],
    ['a string', 'export const a = "import.meta.url";'.replace('import.meta.url', '__filename')],
    ['a variable of its own', 'export function a(__dirname) { return __dirname; }'],
  ])('but not when the word is %s', async (_, text) => {
    expect(await looksBesideItself(text)).toBe(false);
  });
});

test('computed imports of the app and of packages are found, those of what Islet runs on are not', () => {
  const warn = (id: string, file: string) => ({ id, text: '', location: { file, line: 7 } });
  const warnings = [
    warn('unsupported-dynamic-import', 'dist/tasks/a/task.js'),
    warn('unsupported-require-call', 'node_modules/sharp/lib/a.js'),
    warn('indirect-require', 'node_modules/bullmq/dist/esm/classes/child-pool.js'),
    warn('unsupported-dynamic-import', 'dist/src/app/app-files.js'),
    warn('equals-nan', 'dist/tasks/a/task.js'),
  ];
  const isIslet = (file: string) => file.startsWith('dist/src/');
  expect(findComputedImports(warnings as never, isIslet)).toEqual([
    { place: 'dist/tasks/a/task.js:7', what: 'computes an import()', package: undefined },
    { place: 'sharp/lib/a.js:7', what: 'computes a require()', package: 'sharp' },
  ]);
});

test('a file of a package is named from the package, wherever that is installed', () => {
  expect(shorten('/x/node_modules/.pnpm/a@1/node_modules/@s/a/lib/b.js')).toBe('@s/a/lib/b.js');
  expect(shorten('tasks/a/task.ts')).toBe('tasks/a/task.ts');
});

test('the sources of a map are named from the app, and nothing tells where it was made', () => {
  const places = { root: '/home/me/app', outdir: '/home/me/app/.islet/bundle', islet: '/opt/islet/dist/src' };
  const sources = [
    '../../tasks/a/task.ts',
    '../../node_modules/.pnpm/b@1/node_modules/b/c.js',
    '../../../../../opt/islet/src/errors.ts',
    '../../../../../srv/shared/d.ts',
    'islet-entry:entry',
  ];
  const named = nameSources(Buffer.from(JSON.stringify({ version: 3, sources, mappings: 'A' })), places);
  expect(JSON.parse(Buffer.from(named).toString())).toEqual({
    version: 3,
    sources: [
      'tasks/a/task.ts',
      'node_modules/b/c.js',
      'node_modules/islet/src/errors.ts',
      'outside/srv/shared/d.ts',
      'islet-entry/entry',
    ],
    mappings: 'A',
  });
});
