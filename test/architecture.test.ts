import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkImports, importRules } from './support/import-rules.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** One import per rule of the table that breaks it: [the rule's `from`, a file that it holds for, its source]. */
const broken: [from: string, file: string, source: string][] = [
  ['src/errors.ts', 'src/errors.ts', `import 'node:fs';`],
  ['src/config.ts', 'src/config.ts', `import 'convict';`],
  ['src/units.ts', 'src/units.ts', `import './errors.ts';`],
  ['src/environment.ts', 'src/environment.ts', `import './units.ts';`],
  ['src/group-by.ts', 'src/group-by.ts', `import './errors.ts';`],
  ['src/redis-place.ts', 'src/redis-place.ts', `import './errors.ts';`],
  ['src/job-abort.ts', 'src/job-abort.ts', `import './errors.ts';`],
  ['src/unsettled.ts', 'src/unsettled.ts', `import './errors.ts';`],
  ['src/launch-profiles.ts', 'src/launch-profiles.ts', `import 'node:v8';`],
  ['src/shared-lines.ts', 'src/shared-lines.ts', `import 'pino';`],
  ['src/thrown.ts', 'src/thrown.ts', `import './errors.ts';`],
  ['src/rewrite-lines.ts', 'src/rewrite-lines.ts', `import 'pino';`],
  ['src/log.ts', 'src/log.ts', `import './errors.ts';`],
  ['src/index.ts', 'src/index.ts', `export * from './producer/producer.ts';`],
  ['src/task.ts', 'src/task.ts', `export * from './broker/broker.ts';`],
  ['src/producer.ts', 'src/producer.ts', `export * from './worker/worker.ts';`],
  ['src/testing.ts', 'src/testing.ts', `export * from './broker/broker.ts';`],
  ['src/manifest/**', 'src/manifest/a.ts', `import type { Stats } from 'node:fs';`],
  ['src/app/**', 'src/app/a.ts', `import '../../tasks/a/task.ts';`],
  ['src/broker/**', 'src/broker/a.ts', `import type { Worker } from '../worker/worker.ts';`],
  ['src/guard/**', 'src/guard/a.ts', `import 'ioredis';`],
  ['src/process/**', 'src/process/a.ts', `import '../errors.ts';`],
  ['src/observe/**', 'src/observe/a.ts', `import '../worker/worker.ts';`],
  ['src/inspect/**', 'src/inspect/a.ts', `import '../worker/worker.ts';`],
  ['src/producer/**', 'src/producer/a.ts', `import 'awilix';`],
  ['src/worker/**', 'src/worker/a.ts', `import '../broker/settle.ts';`],
  ['src/supervisor/**', 'src/supervisor/a.ts', `import '../broker/broker.ts';`],
  ['src/testing/**', 'src/testing/a.ts', `import { Redis } from 'ioredis';`],
  ['src/tools/scaffold/**', 'src/tools/scaffold/a.ts', `import '../build/a.ts';`],
  ['src/tools/check/**', 'src/tools/check/a.ts', `import '../../worker/worker.ts';`],
  ['src/tools/build/**', 'src/tools/build/a.ts', `import '../../worker/worker.ts';`],
  ['src/tools/dev-redis/**', 'src/tools/dev-redis/a.ts', `import '../../broker/broker.ts';`],
  ['src/cli/**', 'src/cli/a.ts', `import '../../queues/a/manifest.ts';`],
  ['src/**', 'src/other/a.ts', `import 'node:fs';`],
  ['tasks/*/manifest.ts', 'tasks/a/manifest.ts', `import task from './task.ts';`],
  ['queues/*/manifest.ts', 'queues/a/manifest.ts', `import './dependencies.ts';`],
  ['tasks/**', 'tasks/a/task.ts', `import '../b/task.ts';`],
  ['queues/*.ts', 'queues/hooks.ts', `import { open } from './a/dependencies.ts';`],
  ['queues/**', 'queues/a/dependencies.ts', `import '../b/dependencies.ts';`],
  ['config/**', 'config/schema.ts', `import '../src/log.ts';`],
  ['lab/kit/**', 'lab/kit/a.ts', `import '../chaos/ledger.ts';`],
  ['lab/hostile/**', 'lab/hostile/a.ts', `import '../../src/worker/outcome.ts';`],
];

/** The same for the rules beside the table: [file, source, what is found, a part of the reason]. */
const forbidden: [file: string, source: string, found: string, because: string][] = [
  ['src/worker/a.ts', `export const url = process.env.REDIS_URL;`, 'process.env', 'read in config/'],
  ['src/worker/a.ts', `const { env } = process;`, 'process.env', 'read in config/'],
  ['src/worker/a.ts', `import { env } from 'node:process';`, 'process.env', 'read in config/'],
  ['src/worker/a.ts', `process.exit(1);`, 'process.exit()', 'only the composition root'],
  ['src/worker/a.ts', `await import(file);`, 'computed import()', 'only src/app/'],
  ['src/worker/index.ts', `export {};`, 'index.ts', 'names the file that it means'],
  ['src/worker/utils/a.ts', `export {};`, 'folder "utils"', 'named after what it does'],
  ['src/worker/a.ts', 'export {};\n'.repeat(301), '301 lines', 'at most 300 lines'],
];

/** Imports that look like a breach and are meant. */
const allowed: [file: string, source: string][] = [
  ['queues/a/dependencies.ts', `import type { Config } from '../../config/schema.ts';`],
  ['queues/a/hooks.ts', `import { tenant } from './tenant.ts'; import { defineHooks } from 'islet/task';`],
  ['tasks/a/task.ts', `import type { Deps } from '../../queues/a/dependencies.ts';`],
  [
    'tasks/a/task.ts',
    `import other from '../b/manifest.ts'; import { implement } from 'islet/task'; import 'node:fs';`,
  ],
  ['src/worker/a.ts', `import type { Broker } from '../broker/broker.ts';`],
  ['src/config.ts', `import './errors.ts';`],
  ['src/tools/dev-redis/a.ts', `import '../../errors.ts'; import '../../process/a.ts';`],
  ['src/tools/dev-redis/keeper.ts', `process.exit(0);`],
  ['src/cli/a.ts', `import '../broker/a.ts'; process.exit(1);`],
  ['src/app/a.ts', `await import(file);`],
  ['src/tools/scaffold/a.ts', 'export const template = `process.env.X; process.exit(1)`; // process.env'],
];

function check(files: Record<string, string>) {
  return checkImports(new Map(Object.entries(files)));
}

function readRepository(): Map<string, string> {
  const folders = ['src', 'queues', 'tasks', 'config', 'lab/kit', 'lab/hostile'].filter((folder) =>
    existsSync(`${root}/${folder}`),
  );
  const paths = folders.flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
  );
  const sources = paths.filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'));
  return new Map(sources.sort().map((path) => [path, readFileSync(`${root}/${path}`, 'utf8')]));
}

test('the repository breaks no rule', () => {
  const files = readRepository();
  expect(files.size).toBeGreaterThan(0);
  expect(checkImports(files).map(({ sentence }) => sentence)).toEqual([]);
});

describe('the import table', () => {
  test('has a broken fixture for every rule', () => {
    expect(broken.map(([from]) => from)).toEqual(importRules.map(({ from }) => from));
  });

  test.each(broken)('catches a breach of %s and gives its reason', (from, file, source) => {
    const rule = importRules.find((candidate) => candidate.from === from);
    const [violation, ...others] = check({ [file]: source });
    expect(others).toEqual([]);
    const specifier = /'(.+)'/.exec(source)?.[1];
    expect(violation?.sentence).toBe(`${file} must not have import "${specifier}": ${rule?.because}.`);
  });

  test.each(allowed)('lets %s have %s', (file, source) => {
    expect(check({ [file]: source })).toEqual([]);
  });

  test.each([
    ['the public entries', `import '../index.ts';`],
    ['cli/', `import '../cli/a.ts';`],
  ])('lets no folder import %s', (_what, source) => {
    expect(check({ 'src/worker/a.ts': source })).toHaveLength(1);
  });

  test.each([
    ['a value where only types are allowed', `import { deps } from '../../queues/a/dependencies.ts';`],
    ['an inline type, which still loads the module', `import { type D } from '../../queues/a/dependencies.ts';`],
    ['a re-export', `export { run } from '../b/task.ts';`],
    ['an import()', `await import('../b/task.ts');`],
    ['an import type expression', `export type Other = import('../b/task.ts').Other;`],
    ['a subpath of a forbidden package', `import 'bullmq/dist/esm/index.js';`],
    ['the hooks of a queue', `import type { tenant } from '../../queues/a/hooks.ts';`],
    ['the settings', `import type { Config } from '../../config/schema.ts';`],
  ])('sees %s', (_what, source) => {
    expect(check({ 'tasks/a/task.ts': source })).toHaveLength(1);
  });
});

test.each([
  ['queues/hooks.ts', `import type { Tenant } from './a/tenant.ts';`],
  ['queues/a/hooks.ts', `import { tenant } from '../b/tenant.ts';`],
  ['queues/a/hooks.ts', `import task from '../../tasks/a/task.ts';`],
  ['queues/a/hooks.ts', `import '../../config/index.ts';`],
  ['queues/a/manifest.ts', `import './hooks.ts';`],
])('%s may not %s', (file, source) => {
  expect(check({ [file]: source })).toHaveLength(1);
});

describe('the rules beside the table', () => {
  test.each(forbidden)('catches in %s: %s', (file, source, found, because) => {
    const violations = check({ [file]: source });
    expect(violations).toMatchObject([{ file, found }]);
    expect(violations[0]?.because).toContain(because);
  });

  test('lets a function have 60 lines, and not 61, closures and methods included', () => {
    const lines = (count: number) => `{\n${'a();\n'.repeat(count - 2)}}`;
    expect(check({ 'src/app/a.ts': `export function f() ${lines(60)}` })).toEqual([]);
    const long = `export const f = () => ${lines(61)}; export class C { m() ${lines(61)} }`;
    expect(check({ 'src/app/a.ts': long }).map(({ found }) => found)).toHaveLength(2);
    expect(check({ 'src/app/a.ts': `function f() ${lines(61)}` })[0]?.found).toBe('61 lines in f');
  });

  test('catches a cycle of imports once', () => {
    const cycle = { 'src/app/a.ts': `import './b.ts';`, 'src/app/b.ts': `export * from './a.ts';` };
    expect(check(cycle).map(({ found }) => found)).toEqual(['import cycle src/app/a.ts → src/app/b.ts → src/app/a.ts']);
  });

  test('catches a cycle of types, and lets an import() lead back', () => {
    const back = (source: string) => check({ 'src/app/a.ts': `import './b.ts';`, 'src/app/b.ts': source });
    expect(back(`import type { A } from './a.ts';`)).toHaveLength(1);
    expect(back(`export const load = () => import('./a.ts');`)).toEqual([]);
  });

  test('refuses a file that does not parse', () => {
    expect(() => check({ 'src/app/a.ts': 'const = 1;' })).toThrow('src/app/a.ts does not parse');
  });
});
