import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const moduleUrl = pathToFileURL(resolve('bin/import-names.js')).href;
const { findAliases, writeImports } = (await import(moduleUrl)) as {
  findAliases(root: string, codeOf: (source: string) => string): string[];
  writeImports(root: string, folder: string): void;
};

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'islet-names-'));
  put('package.json', '{ "name": "my-app" }');
  put('base.json', '{ "compilerOptions": { "baseUrl": "src", "paths": { "@/*": ["./*"], "config": ["config.ts"] } } }');
  put('tsconfig.json', '{ "extends": "./base.json", "include": ["tasks"] }');
});

afterEach(() => rmSync(root, { recursive: true }));

const namesIn = (code: string) => {
  put('tasks/a.ts', code);
  return findAliases(root, (source) => source).map((said) =>
    /^tasks\/a\.ts:(\d+) imports "(.*?)"/.exec(said)?.slice(1),
  );
};

test.each([
  "import { x } from '@/x';",
  "import {\n  x,\n} from '@/x';",
  "import '@/x';",
  "export * from '@/x';",
  "const x = await import('@/x');",
  "import {type X} from '@/x';",
])('finds the name that only the compiler knows in %j', (code) => {
  const line = String(code.split('\n').findIndex((text) => text.includes('@/x')) + 2);
  expect(namesIn(`const a = '**/*';\n${code}`)).toEqual([[line, '@/x']]);
});

test.each([
  "import type { X } from '@/x';",
  "// import { x } from '@/x';",
  "/*\nimport { x } from '@/x';\n*/",
  "const text = `\nimport { x } from '@/x';\n`;",
  "import { x } from 'my-app/x';",
  "import config from 'config';",
  "import { x } from '../src/x.ts';",
])('passes over %j', (code) => {
  put('node_modules/config/package.json', '{}');
  expect(namesIn(code)).toEqual([]);
});

test.each([
  ['@/names/x.js', '"#names/x", and write "imports": { "#*": "./src/*.ts" } into package.json: the compiler,'],
  ['config', '"#config", and write "imports": { "#config": "./src/config.ts" } into package.json: the compiler,'],
])('says what to write in place of %s', (name, advice) => {
  put('tasks/a.ts', `import '${name}';`);
  expect(findAliases(root, (source) => source)).toEqual([expect.stringContaining(advice)]);
});

test('a name for what lies outside of the app becomes a package', () => {
  put(
    'tsconfig.json',
    '{ "compilerOptions": { "paths": { "shared": ["../shared/index.ts"] } }, "include": ["tasks"] }',
  );
  put('tasks/a.ts', "import 'shared';");
  expect(findAliases(root, (source) => source)).toEqual([
    'tasks/a.ts:1 imports "shared", a name that tsconfig.json gives to the compiler alone ("paths"). ' +
      'Make that folder a package of the workspace, and add it to the dependencies in package.json.',
  ]);
});

function put(name: string, text: string): void {
  const file = join(root, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

test('names of package.json lead to compiled code in dist/, where any leads to a source', () => {
  put('dist/package.json', '{}');
  put('package.json', '{ "imports": { "#redis": "ioredis" } }');
  writeImports(root, join(root, 'dist'));
  expect(existsSync(join(root, 'dist/package.json'))).toBe(false);
  const imports = { '#a': { node: ['./src/a.mts', null] }, '#redis': 'ioredis', '#b/*': './dist/b/*.js' };
  put('package.json', JSON.stringify({ name: 'app', type: 'module', version: '1.0.0', imports }));
  writeImports(root, join(root, 'dist'));
  expect(JSON.parse(readFileSync(join(root, 'dist/package.json'), 'utf8'))).toEqual({
    name: 'app',
    type: 'module',
    imports: { '#a': { node: ['./src/a.mjs', null] }, '#redis': 'ioredis', '#b/*': './b/*.js' },
  });
});
