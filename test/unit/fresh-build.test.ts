import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const moduleUrl = pathToFileURL(resolve('bin/fresh-build.js')).href;
const { build, isUnrecorded, proveFresh, refreshOutputs, runsFromSources, staleFiles, watchCommand } = (await import(
  moduleUrl
)) as {
  build(root: string): void;
  isUnrecorded(root: string): boolean;
  proveFresh(root: string): boolean;
  refreshOutputs(root: string, read: { listed: string[]; snapshot: Map<string, string | undefined> }): void;
  runsFromSources(root: string): boolean;
  watchCommand(root: string): string[];
  staleFiles(root: string): string[];
};

/**
 * A program in place of the compiler, which counts its runs. It makes an output of each source, and tells which files it
 * has read; those that are named in the file "reads" are among them.
 */
const COMPILER = `
const fs = require('node:fs');
const path = require('node:path');
fs.appendFileSync('runs', 'x');
if (fs.existsSync('reads')) console.log(fs.readFileSync('reads', 'utf8'));
if (fs.existsSync('broken')) { console.log('src/a.ts(1,1): error TS1005'); process.exit(2); }
const args = process.argv.slice(2);
const out = args[args.indexOf('--outDir') + 1];
for (const file of fs.readdirSync('.', { recursive: true })) {
  if (!/(?<!\\.d|\\.test)\\.ts$/.test(file) || /^(node_modules|dist)/.test(file)) continue;
  console.log(path.resolve(file));
  const to = path.join(out, file.replace(/ts$/, 'js'));
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.writeFileSync(to, args.slice(0, 2).join(' ') + fs.readFileSync(file, 'utf8'));
}
`;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'islet-build-'));
  // Without this folder, an app runs from its sources on a Node that can do that, and nothing is ever stale.
  mkdirSync(join(root, 'dist'));
  put('tsconfig.json', 10);
  put('src/a.ts', 10);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function putCompiler() {
  put('node_modules/typescript/bin/tsc', 10, COMPILER);
  put('node_modules/typescript/package.json', 10, '{}');
}

describe('what this program has compiled', () => {
  const change = (name: string, text: string) => put(name, 10, text);

  beforeEach(() => {
    put(
      'tsconfig.json',
      10,
      `{ // Comments are allowed, and so are commas at the end.
      "extends": "./base.json", "include": ["src", "tasks", "lib/**/*.ts", ], "exclude": ["**/*.test.ts"] }`,
    );
    put('base.json', 10, '{ "compilerOptions": {} }');
    put('package.json', 10, '{ "type": "module", "version": "1" }');
    for (const file of ['tasks/send/task.ts', 'lib/deep/x.ts', 'types.d.ts']) put(file, 10);
    put('reads', 10, join(root, 'types.d.ts'));
    putCompiler();
    build(root);
    // All sources are older than their outputs from here on.
  });

  test('is not stale, whatever the times say', () => {
    expect(staleFiles(root)).toEqual([]);
    for (const [name, seconds] of [
      ['src/a.ts', 4e9],
      ['tsconfig.json', 4e9],
      ['dist/src/a.js', 1],
    ] as const) {
      utimesSync(join(root, name), seconds, seconds);
    }
    expect(staleFiles(root)).toEqual([]);
  });

  test.each(['src/a.ts', 'lib/deep/x.ts', 'tsconfig.json', 'base.json', 'types.d.ts'])(
    'is stale when the content of %s has changed, however old the file is',
    (file) => {
      change(file, '{ "compilerOptions": { "strict": true }, "include": ["src", "tasks", "lib"] }');
      expect(staleFiles(root)).toEqual([`${file} has changed`]);
    },
  );

  test('is stale when modules are read otherwise, and not for another field of package.json', () => {
    change('package.json', '{ "type": "module", "version": "2" }');
    expect(staleFiles(root)).toEqual([]);
    change('package.json', '{ "type": "commonjs", "version": "2" }');
    expect(staleFiles(root)).toEqual(['package.json has changed']);
  });

  test('is stale when a source was removed or added, and not for a test', () => {
    put('src/new.test.ts', 10);
    put('other/new.ts', 10);
    expect(staleFiles(root)).toEqual([]);
    rmSync(join(root, 'lib/deep/x.ts'));
    put('lib/y.ts', 10);
    expect(staleFiles(root)).toEqual(['lib/deep/x.ts was removed', 'lib/y.ts is not compiled']);
  });

  test('is stale when a part of it is gone', () => {
    rmSync(join(root, 'dist/src/a.js'));
    expect(staleFiles(root)).toEqual(['dist/src/a.js was removed']);
  });

  test('is stale when a linked package has changed, and not when that was left behind', () => {
    const shared = mkdtempSync(join(tmpdir(), 'islet-shared-'));
    const file = join(shared, 'index.d.ts');
    writeFileSync(file, 'export declare const a: string;');
    put('reads', 10, file);
    change('src/a.ts', 'now');
    build(root);
    expect(staleFiles(root)).toEqual([]);
    writeFileSync(file, 'export declare const a: number;');
    expect(staleFiles(root)).toEqual([expect.stringMatching(/islet-shared-\w+\/index\.d\.ts has changed$/)]);
    rmSync(shared, { recursive: true });
    expect(staleFiles(root)).toEqual([]);
  });

  test('is not stale where it was deployed without its sources', () => {
    for (const folder of ['src', 'tasks', 'lib']) rmSync(join(root, folder), { recursive: true });
    rmSync(join(root, 'base.json'));
    expect(staleFiles(root)).toEqual([]);
  });

  test('is judged by times again once something else has compiled', () => {
    change('src/a.ts', 'now');
    put('dist/src/a.js', 20, 'made of it by another');
    for (const file of ['tasks/send/task', 'lib/deep/x']) put(`dist/${file}.js`, 20);
    expect(staleFiles(root)).toEqual([]);
    put('dist/src/a.js', 5, 'made of it by another');
    expect(staleFiles(root)).toEqual(['src/a.ts is newer than its compiled file']);
  });

  test('is stale when a file was saved while the compiler ran', () => {
    put('node_modules/typescript/bin/tsc', 10, `${COMPILER}\nfs.writeFileSync('src/a.ts', 'saved late');`);
    change('src/a.ts', 'saved early');
    build(root);
    expect(staleFiles(root)).toEqual(['src/a.ts has changed']);
  });
});

test('it is not known what was compiled by something else, where this program could compile', () => {
  put('dist/src/a.js', 20);
  expect(isUnrecorded(root)).toBe(false);
  putCompiler();
  expect(isUnrecorded(root)).toBe(true);
  build(root);
  expect(isUnrecorded(root)).toBe(false);
});

describe('what something else has compiled', () => {
  test('is proved fresh when its times say otherwise, if this program compiles the same code', () => {
    putCompiler();
    build(root);
    rmSync(join(root, 'dist/compiled-from.json'));
    utimesSync(join(root, 'src/a.ts'), 4e9, 4e9);
    expect(staleFiles(root)).toEqual(['src/a.ts is newer than its compiled file']);
    expect(proveFresh(root)).toBe(true);
    expect(staleFiles(root)).toEqual([]);
    expect(existsSync(join(root, 'dist.new'))).toBe(false);

    rmSync(join(root, 'dist/compiled-from.json'));
    put('src/a.ts', 4e9, 'changed');
    expect(proveFresh(root)).toBe(false);
    expect(staleFiles(root)).toEqual(['src/a.ts is newer than its compiled file']);
    expect(existsSync(join(root, '.islet/build.lock'))).toBe(false);
  });

  test('is not stale when every output is newer than its source', () => {
    put('dist/src/a.js', 20);
    expect(staleFiles(root)).toEqual([]);
  });

  test('names a source without an output', () => {
    expect(staleFiles(root)).toEqual(['src/a.ts is not compiled']);
  });

  test('is stale when a source of the four folders is missing in it, or any other source has changed', () => {
    put('dist/src/a.js', 20);
    put('test/fixtures/user.ts', 30);
    put('lab/bench/main.ts', 30);
    expect(staleFiles(root)).toEqual([]);
    put('tasks/send/task.ts', 30);
    expect(staleFiles(root)).toEqual(['tasks/send/task.ts is not compiled']);
    put('dist/tasks/send/task.js', 40);
    put('dist/test/fixtures/user.js', 20);
    expect(staleFiles(root)).toEqual(['test/fixtures/user.ts is newer than its compiled file']);
  });

  test('names a source newer than its output', () => {
    put('dist/src/a.js', 5);
    expect(staleFiles(root)).toEqual(['src/a.ts is newer than its compiled file']);
  });

  test('names an output folder whose task or queue was removed', () => {
    put('dist/src/a.js', 20);
    put('dist/tasks/gone/task.js', 20);
    put('dist/queues/old/queue.js', 20);
    expect(staleFiles(root)).toEqual([
      'dist/tasks/gone no longer has a source',
      'dist/queues/old no longer has a source',
    ]);
  });

  test('names an output whose source was removed from its folder, but not one that is JavaScript itself', () => {
    put('dist/src/a.js', 20);
    put('queues/mail/plain.js', 10);
    for (const name of ['plain', 'hooks']) put(`dist/queues/mail/${name}.js`, 20);
    expect(staleFiles(root)).toEqual(['dist/queues/mail/hooks.js no longer has a source']);
    refreshOutputs(root, { listed: [], snapshot: new Map() });
    expect(staleFiles(root)).toEqual([]);
    expect(existsSync(join(root, 'dist/queues/mail/plain.js'))).toBe(true);
  });

  test('passes over tests and declarations', () => {
    put('dist/src/a.js', 20);
    put('src/a.test.ts', 30);
    put('src/a.d.ts', 30);
    expect(staleFiles(root)).toEqual([]);
  });

  test('finds nothing without a tsconfig.json, and nothing without sources', () => {
    rmSync(join(root, 'src'), { recursive: true });
    expect(staleFiles(root)).toEqual([]);
    put('src/a.ts', 10);
    rmSync(join(root, 'tsconfig.json'));
    expect(staleFiles(root)).toEqual([]);
  });
});

describe('build', () => {
  beforeEach(putCompiler);

  test('removes the old output, compiles and gives the lock back', () => {
    put('dist/tasks/gone/task.js', 20);
    build(root);
    expect(existsSync(join(root, 'dist/tasks'))).toBe(false);
    expect(readFileSync(join(root, 'dist/src/a.js'), 'utf8')).toBe('-p tsconfig.json');
    expect(existsSync(join(root, '.islet/build.lock'))).toBe(false);
  });

  test('prefers tsconfig.build.json', () => {
    put('tsconfig.build.json', 10);
    build(root);
    expect(readFileSync(join(root, 'dist/src/a.js'), 'utf8')).toBe('-p tsconfig.build.json');
  });

  test("throws the compiler's output when it fails, leaves the old build as it was, and can be tried again", () => {
    put('dist/src/a.js', 5, 'the old one');
    put('broken', 10);
    expect(() => build(root)).toThrow('The build failed.\nsrc/a.ts(1,1): error TS1005');
    expect(readFileSync(join(root, 'dist/src/a.js'), 'utf8')).toBe('the old one');
    expect(existsSync(join(root, 'dist.new'))).toBe(false);
    rmSync(join(root, 'broken'));
    expect(() => build(root)).not.toThrow();
  });

  test('says what to run when the compiler is not installed', () => {
    rmSync(join(root, 'node_modules'), { recursive: true });
    expect(() => build(root)).toThrow('The compiler is not installed. Run "npm ci" first.');
  });

  test('clears away what a build that was killed left', () => {
    put('dist.new/src/old.js', 10);
    put('dist.old/src/old.js', 10);
    build(root);
    expect(['dist.new', 'dist.old', 'dist/src/old.js'].filter((name) => existsSync(join(root, name)))).toEqual([]);
  });

  test('takes over the lock of a build that was killed', async () => {
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    put('.islet/build.lock', 10, String(dead.pid));
    build(root);
    expect(staleFiles(root)).toEqual([]);
  });

  test('compiles once when a second build waits for the first', async () => {
    const holder = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
    put('.islet/build.lock', 10, String(holder.pid));
    const code = `import { build } from ${JSON.stringify(moduleUrl)}; console.log('here'); build(${JSON.stringify(root)})`;
    const builds = [1, 2].map(() => spawn(process.execPath, ['--input-type=module', '-e', code]));
    const ends = builds.map((child) => once(child, 'exit'));
    await Promise.all(builds.map((child) => once(child.stdout, 'data')));
    holder.kill('SIGKILL');
    expect((await Promise.all(ends)).map(([status]) => status)).toEqual([0, 0]);
    expect(readFileSync(join(root, 'runs'), 'utf8')).toBe('x');
  });
});

test('Islet itself is compiled where nothing was compiled before: its parts import it by its own name', () => {
  rmSync(join(root, 'dist'), { recursive: true });
  const parts = ['tsconfig.json', 'tsconfig.build.json', 'package.json', 'src', 'bin', 'queues', 'tasks', 'config'];
  for (const part of parts) cpSync(part, join(root, part), { recursive: true });
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
  build(root);
  expect(existsSync(join(root, 'dist/src/cli/main.js'))).toBe(true);
}, 60_000);

test('an output whose source was saved as it was counts as new, once it was compiled', () => {
  put('dist/src/a.js', 5);
  refreshOutputs(root, { listed: [], snapshot: new Map() });
  expect(staleFiles(root)).toEqual([]);
});

test('a compiler that goes on writes nothing that has an error', () => {
  putCompiler();
  put('dist/src/a.js', 20);
  expect(watchCommand(root).join(' ')).toMatch(
    /tsc -p tsconfig.json --noEmitOnError --listFiles --outDir dist --watch/,
  );
});

test('sources run as they are where Node can do that, unless they were compiled, and never those of Islet', () => {
  const typescript = Boolean((process.features as { typescript?: unknown }).typescript);
  expect(runsFromSources(root)).toBe(false);
  rmSync(join(root, 'dist'), { recursive: true });
  expect(runsFromSources(root)).toBe(typescript);
  put('dist/src/a.js', 20);
  expect(runsFromSources(root)).toBe(false);
  expect(runsFromSources(process.cwd())).toBe(false);
});

function put(name: string, seconds: number, text = ''): void {
  const file = join(root, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  utimesSync(file, seconds, seconds);
}
