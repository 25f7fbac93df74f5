import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTempApp, type TempApp } from '../support/temp-app.ts';

const run = promisify(execFile);
const entries = ['index', 'task', 'producer', 'testing', 'config'];
const nameOf = (entry: string) => (entry === 'index' ? 'islet' : `islet/${entry}`);
const { installCompiler } = (await import(pathToFileURL(resolve('bin/install-node.js')).href)) as {
  installCompiler(version: string): string;
};

/** A program whose files are CommonJS, and which has Islet installed. */
let program: TempApp;

beforeAll(async () => {
  program = await openTempApp(async (root) => {
    await mkdir(root, { recursive: true });
    await writeFile(join(root, 'package.json'), '{ "name": "consumer" }');
  });
  await program.write('consumer.ts', CONSUMER);
  await program.write('consumer.test.js', JEST);
});

afterAll(() => program.close());

async function inProgram(...args: string[]): Promise<string> {
  try {
    const env = { ...process.env, NODE_OPTIONS: undefined, NODE_ENV: undefined };
    const { stdout, stderr } = await run(process.execPath, args, { cwd: program.root, env });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return stdout + stderr;
  }
}

test('require() brings the same modules as import', async () => {
  const code = `
    const names = ${JSON.stringify(entries.map(nameOf))};
    const isSame = async (name) => {
      const [required, imported] = [require(name), await import(name)];
      return Object.keys(imported).every((key) => required[key] === imported[key]);
    };
    Promise.all(names.map(isSame)).then((same) => console.log(same.join()));`;
  expect(await inProgram('-e', code)).toBe(`${entries.map(() => 'true').join()}\n`);
});

test('a test under Jest in CommonJS enqueues', async () => {
  expect(await inProgram('node_modules/jest/bin/jest.js')).toMatch(/Tests: +1 passed/);
}, 60_000);

test.each(entries)('the declarations for CommonJS name all that the entry "%s" exports', async (entry) => {
  const exported = Object.keys(await import(resolve(`dist/src/${entry}.js`)));
  const text = readFileSync(`cjs/${entry}.d.cts`, 'utf8');
  expect(
    [...text.matchAll(/^export declare const (\w+): typeof entry\.\1;$/gm)].map(([, name]) => name).sort(),
  ).toEqual(exported.sort());
  for (const name of exported.filter((each) => /^[A-Z]/.test(each))) {
    expect(text).toContain(`export type ${name} = entry.${name};`);
  }
});

describe('a program in CommonJS compiles with', () => {
  const settings = [
    ['--module', 'commonjs', '--moduleResolution', 'node10'],
    ['--module', 'node16'],
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ];
  const current = resolve('node_modules/typescript/bin/tsc');
  const cases = [
    ...settings.map((flags) => ['5.4', flags] as const),
    ...settings.slice(1).map((flags) => ['the present one', flags] as const),
    ['the present one', ['--module', 'commonjs']] as const,
  ];
  test.each(cases)(
    'TypeScript %s %j',
    async (version, flags) => {
      const compiler = version === 'the present one' ? current : installCompiler(version);
      const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--types', 'node'];
      expect(await inProgram(compiler, ...options, ...flags, 'consumer.ts')).toBe('');
    },
    120_000,
  );
});

const CONSUMER = `
import { defineTask, IsletError, TaskFailedError } from 'islet';
import { type ConfigOf, isletSettings } from 'islet/config';
import { createProducer, type Producer } from 'islet/producer';
import { implement, type TaskContext } from 'islet/task';
import { runTask } from 'islet/testing';
import * as v from 'valibot';

const task = defineTask({ name: 'a', queue: 'q', payload: v.object({ a: v.string() }) });
const producer: Producer = createProducer({ redis: 'redis://127.0.0.1:1' });
export async function enqueue(): Promise<string> {
  const job = await producer.enqueue(task, { a: 'x' });
  // @ts-expect-error a payload that the manifest refuses
  await producer.enqueue(task, { a: 1 });
  return job.id;
}
export const implemented = implement(task, async ({ a }, { signal }: TaskContext) => {
  signal.throwIfAborted();
  a satisfies string;
});
export const outcome = async (): Promise<string> => (await runTask(implemented, { a: '' })).kind;
export class OwnError extends IsletError {}
export const codeOf = (error: unknown) => (error instanceof TaskFailedError ? error.code : undefined);
export const url: ConfigOf<typeof isletSettings>['redis']['url'] = null;
`;

const JEST = `
const { defineTask, IsletError } = require('islet');
const { createProducer } = require('islet/producer');
const v = require('valibot');

test('a wrong payload is refused', async () => {
  const task = defineTask({ name: 'a', queue: 'q', payload: v.object({ a: v.string() }) });
  const producer = createProducer({ redis: 'redis://127.0.0.1:1' });
  const refused = producer.enqueue(task, { a: 1 });
  await expect(refused).rejects.toThrow('refused its payload');
  await expect(refused).rejects.toBeInstanceOf(IsletError);
  await expect(refused).rejects.toMatchObject({ code: 'E_PAYLOAD_INVALID' });
  await producer.close();
});
`;
