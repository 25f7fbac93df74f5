import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildProducer } from '../../../../src/tools/build/build-queue.ts';
import type { Contents } from '../../../../src/tools/build/contents.ts';

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'islet-elsewhere-')));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Files = Record<string, string | object>;

/** Writes an app; names that begin with a package's folder are installed. */
function write(files: Files): void {
  for (const [name, content] of Object.entries({ 'package.json': { type: 'module' }, ...files })) {
    const file = join(folder, 'app', name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
}

const build = (flags: { include?: string[]; exclude?: string[]; program?: string } = {}): Promise<Contents> => {
  const { include = [], exclude = [], program = 'src/run.js' } = flags;
  const request = { root: join(folder, 'app'), out: join(folder, 'out'), include, exclude, version: '0.0.0' };
  return buildProducer(program, request);
};

/** Runs what was built where nothing of the app is left. */
function run(): string {
  renameSync(join(folder, 'app'), join(folder, 'hidden'));
  mkdirSync(join(folder, 'elsewhere'));
  renameSync(join(folder, 'out'), join(folder, 'elsewhere/out'));
  const program = join(folder, 'elsewhere/out/producer.js');
  const { stdout, stderr } = spawnSync(process.execPath, [program], { cwd: folder, encoding: 'utf8' });
  return stdout.trim() + stderr;
}

async function buildAndRun(files: Files, flags = {}): Promise<string> {
  write(files);
  await build(flags);
  return run();
}

/** A package of one CommonJS file. */
const commonJs = (name: string, code: string, more = {}): Files => ({
  [`node_modules/${name}/package.json`]: { name, version: '1.0.0', ...more },
  [`node_modules/${name}/index.js`]: code,
});

/** A package that must be copied, since it asks for its place. */
const placed = (name: string, value: string) =>
  commonJs(name, `module.exports = ${JSON.stringify(value)} + (__dirname ? '' : '');`);

describe('packages', () => {
  test('a bundled one that requires a copied one', async () => {
    const files = {
      'src/run.js': `import outer from 'outer'; console.log(outer);`,
      ...commonJs('outer', `module.exports = 'outer ' + require('inner');`),
      ...placed('inner', 'inner'),
    };
    expect(await buildAndRun(files)).toBe('outer inner');
  });

  test('a part that a tool has generated into a folder that is no package, with all that lies there', async () => {
    const files = {
      'src/run.js': `import client from '@orm/client'; console.log(client);`,
      'node_modules/@orm/client/package.json': { name: '@orm/client', version: '1.0.0' },
      'node_modules/@orm/client/index.js': `module.exports = require('.orm/client');`,
      'node_modules/.orm/client/package.json': { name: 'orm-client', main: 'index.js' },
      'node_modules/.orm/client/index.js': `const at = __dirname;
        module.exports = require('fs').readFileSync(at + '/' + ['schema', 'orm'].join('.'), 'utf8');`,
      'node_modules/.orm/client/schema.orm': 'model A',
    };
    expect(await buildAndRun(files)).toBe('model A');
  });

  test('a bundled one that brings its own version of a copied one', async () => {
    const files = {
      'src/run.js': `import outer from 'outer'; import inner from 'inner'; console.log(outer, inner);`,
      ...commonJs('outer', `module.exports = 'outer ' + require('inner');`),
      ...placed('inner', 'new'),
      'node_modules/outer/node_modules/inner/package.json': { name: 'inner', version: '0.1.0' },
      'node_modules/outer/node_modules/inner/index.js': `module.exports = 'old' + (__dirname ? '' : '');`,
    };
    expect(await buildAndRun(files)).toBe('outer old new');
  });

  test('one whose file depends on the version of Node, wherever its exports say so', async () => {
    const condition = { 'module-sync': './require.mjs', import: './index.mjs', default: './index.js' };
    const files = {
      'src/run.js': `import outer from 'outer'; console.log(outer);`,
      ...commonJs('outer', `module.exports = require('inner').value + (__dirname ? '' : '');`),
      ...commonJs('inner', `exports.value = 'value';`, { exports: { '.': [condition, './index.js'] } }),
      'node_modules/inner/index.mjs': `export { value } from './index.js';`,
      'node_modules/inner/require.mjs': `export const value = 'value';`,
    };
    expect(await buildAndRun(files)).toBe('value');
  });
});

describe('modules that are found by other means than an import', () => {
  const driver = commonJs('driver', `module.exports = 'driver';`);

  test.each([
    ['createRequire()', `console.log(createRequire(import.meta.url)('driver'));`],
    ['what it has made', `const need = createRequire(import.meta.url); console.log(need('driver'));`],
    [
      'its resolve()',
      `const need = createRequire(import.meta.url); console.log(need(need.resolve('driver').toString()));`,
    ],
    ['import.meta.resolve()', `console.log((await import(import.meta.resolve('driver'))).default);`],
  ])('by %s', async (_, code) => {
    const file = `import { createRequire } from 'node:module';\n${code}`;
    const excluded = { exclude: ['src/run.js'] };
    expect(await buildAndRun({ 'src/run.js': file, ...driver }, excluded)).toBe('driver');
  });

  test('by createRequire() of another name, from a file of the app', async () => {
    const files = {
      'src/run.js': `import { createRequire as make } from 'module';\nconsole.log(make(import.meta.url)('./part.cjs'));`,
      'src/part.cjs': `module.exports = 'part ' + require('driver');`,
      ...driver,
    };
    expect(await buildAndRun(files)).toBe('part driver');
  });

  test('by a name that a copied package computes, of the packages that it declares and that are no tools', async () => {
    const files = {
      'package.json': { type: 'module', devDependencies: { tool: '1' } },
      'src/run.js': `import load from 'orm'; console.log(load('driver'));`,
      ...commonJs('orm', `module.exports = (name) => require(name) + require('inner');`, {
        peerDependenciesMeta: { driver: { optional: true }, tool: { optional: true }, missing: { optional: true } },
      }),
      ...commonJs('inner', `module.exports = __dirname ? '' : '';`),
      ...commonJs('driver', `module.exports = 'driver';`),
      ...commonJs('tool', ''),
    };
    write(files);
    const { packages, warnings } = await build();
    expect(packages.map(({ name }) => name)).toEqual(['driver', 'inner', 'orm']);
    expect(warnings).toBeUndefined();
    expect(run()).toBe('driver');
  });

  test('by a name that nobody declares: a warning names the call, and --include packs it', async () => {
    write({
      'package.json': { type: 'module', dependencies: { web: '1', view: '1' } },
      'src/run.js': `import render from 'web'; console.log(render('view'));`,
      ...commonJs('web', `module.exports = (name) =>\n  require(name);`),
      ...commonJs('view', `module.exports = 'view';`),
    });
    expect((await build()).warnings).toEqual([
      'web/index.js:2 computes a require().\nThe app installs packages that are not packed: view. If the code loads one of ' +
        'them by a name that it computes, add --include <name>.',
    ]);
    expect((await build({ include: ['view'] })).warnings).toBeUndefined();
    expect(run()).toBe('view');
  });

  const computing = `import { createRequire } from 'node:module';
const need = createRequire(import.meta.url);
export const load = (name) => need(name);
console.log(load('driver'));`;

  test('by a name that the app computes: it is refused, and --include with --exclude overrule that', async () => {
    write({ 'src/run.js': computing, ...driver });
    await expect(build()).rejects.toMatchObject({
      code: 'E_BUILD_FAILED',
      message:
        'The build failed, and nothing was written. src/run.js:3 computes a createRequire(): what it loads cannot be known ' +
        'before it runs.\nName each module in an import() of its own, such as import("./a.ts"). Or pack what it loads by ' +
        '--include <name>, and leave it to the run time by --exclude src/run.js.',
    });
    await build({ include: ['driver'], exclude: ['src/run.js'] });
    expect(run()).toBe('driver');
  });

  const native = `node_modules/@msgpackr-extract/msgpackr-extract-${process.platform}-${process.arch}/node.napi.glibc.node`;

  test.runIf(existsSync(native))('a native file of the app, at its place', async () => {
    write({
      'src/run.js': `import native from './native.cjs'; console.log(typeof native.extractStrings);`,
      'src/native.cjs': `module.exports = require('./own.node');`,
    });
    copyFileSync(native, join(folder, 'app/src/own.node'));
    expect((await build()).system).toBe(`${process.platform}-${process.arch}`);
    expect(run()).toBe('function');
  });

  test('a package that is missing, or not wanted, is left out by --exclude', async () => {
    const code = `for (const name of [import('missing'), import('driver')]) {
  console.log(await name.catch((error) => error.code));
}`;
    write({ 'src/run.js': code, ...driver });
    await expect(build()).rejects.toThrow(/src\/run\.js:1: Could not resolve "missing".* --exclude missing/s);
    expect((await build({ exclude: ['missing', 'driver'] })).packages).toEqual([]);
    expect(run()).toBe('ERR_MODULE_NOT_FOUND\nERR_MODULE_NOT_FOUND');
  });
});

describe('what the code of the app says of itself', () => {
  test('a function keeps its text, so that it runs elsewhere', async () => {
    const code = `import { runInNewContext } from 'node:vm';
function outer(value) { class Inner {} const arrow = () => value; function named() { return arrow(); } return named(); }
console.log(runInNewContext('(' + outer + ')(1)'), new (class TooHot {})().constructor.name);`;
    expect(await buildAndRun({ 'src/run.js': code })).toBe('1 TooHot');
  });

  test('parameters keep their names', async () => {
    const code = `class Mailer { constructor(database, clock) { this.all = [database, clock]; } }
console.log(/constructor\\(([^)]*)\\)/.exec(String(Mailer))[1].replaceAll(' ', ''));`;
    expect(await buildAndRun({ 'src/run.js': code })).toBe('database,clock');
  });

  test('names stay, whatever else has the same name in what is bundled', async () => {
    const code = `import { clock as other, mailer, Same as Base } from './part.js';
class Same extends Base { static self = Same; }
export class Failure extends Error { static of() { return new Failure(); } }
function build(clock, mailer) { 'use strict'; const named = (Same) => ({ Same }); return [clock, mailer, named, other]; }
const arrow = (clock) => clock;
console.log(/\\(([^)]*)\\)/.exec(String(build))[1], arrow.name, String(arrow).includes('clock2'));
console.log(Failure.of().constructor.name, new Same().constructor.name, new Base().constructor.name);`;
    const part = `export const clock = 1, mailer = 2; export class Same { static self = Same; }
export class Failure extends Error {} const arrow = () => 1; export { arrow };`;
    expect(await buildAndRun({ 'src/run.js': code.replaceAll('\\\\', '\\'), 'src/part.js': part })).toBe(
      'clock,mailer arrow false\nFailure Same Same',
    );
  });

  test('a class of a bundled package has its name', async () => {
    const files = {
      'src/run.js': `import { Failure } from 'pack'; console.log(new Failure().name, new Failure().self.name);`,
      'node_modules/pack/package.json': { name: 'pack', version: '1.0.0', type: 'module', exports: './index.js' },
      'node_modules/pack/index.js': `export class Failure extends Error {
  constructor() { super(); this.name = this.constructor.name; this.self = Failure; }
}`,
    };
    expect(await buildAndRun(files)).toBe('Failure Failure');
  });

  test('its place is that of its source, and the words for it in a text stay', async () => {
    const code = `const text = 'import.meta.dirname, import.meta.url', word = \`import.meta.filename\`;
console.log(text, word, import.meta.dirname.endsWith('out/src'), import.meta.resolve('./a.txt').endsWith('out/src/a.txt'));`;
    expect(await buildAndRun({ 'src/run.js': code })).toBe(
      'import.meta.dirname, import.meta.url import.meta.filename true true',
    );
  });

  test('an error names the place in the source', async () => {
    const code = `export const at = import.meta.dirname;\n\n/* Text. */ throw new Error('here');`;
    write({ 'src/run.js': code });
    await build();
    renameSync(join(folder, 'app'), join(folder, 'hidden'));
    const args = ['--enable-source-maps', join(folder, 'out/producer.js')];
    const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toMatch(/src\/run\.js:3:\d+/);
  });

  test.each([
    [
      'src/part.ts:2 is no JavaScript without its types, as a decorator is',
      'src/part.ts',
      `const mark = (_: unknown, __: unknown) => {};\n@mark class A {}\nexport const a: A = new A();`,
    ],
    ['it has JSX', 'src/part.tsx', 'export const a = <p>text</p>;'],
    ['it has JSX', 'src/part.jsx', 'export const a = <p>text</p>;'],
  ])('%s: a source that was not compiled is refused', async (what, file, code) => {
    write({ 'src/run.js': `import { a } from './${file.slice(4)}';\nconsole.log(a);`, [file]: code });
    await expect(build()).rejects.toThrow(`${file} has to be compiled first, by "npm run build": ${what}`);
  });
});
