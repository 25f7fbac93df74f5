import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkOutputFolder, writeOutput } from '../../../../src/tools/build/output-folder.ts';

let root: string;
let out: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'islet-out-'));
  out = join(root, 'out');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const files = (...names: string[]) => {
  const list = JSON.stringify({ islet: '0.1.0', files: names.map((file) => ({ file, bytes: 1 })) });
  const all = [...names.map((name) => [name, 'x'] as const), ['contents.json', list] as const];
  return new Map(all.map(([name, text]) => [name, { content: Buffer.from(text), program: false }]));
};

test('a folder that is not there, or empty, is taken', () => {
  checkOutputFolder(root, out);
  mkdirSync(out);
  checkOutputFolder(root, out);
});

test.each([
  ['something else', 'notes.txt', 'x'],
  ['a contents.json that is not of Islet', 'contents.json', '{}'],
])('a folder with %s is refused', (_, name, text) => {
  mkdirSync(out);
  writeFileSync(join(out, name), text);
  expect(() => checkOutputFolder(root, out)).toThrow(
    `${out} is not empty, and not an earlier build: it has no contents.json of Islet's. Nothing was built.`,
  );
});

test('a file, the app itself and what holds it are refused', () => {
  writeFileSync(out, '');
  expect(() => checkOutputFolder(root, out)).toThrow(`${out} is no folder.`);
  expect(() => checkOutputFolder(root, root)).toThrow(`${root} holds the app itself.`);
  expect(() => checkOutputFolder(root, tmpdir())).toThrow(`${tmpdir()} holds the app itself.`);
});

test('an earlier build is replaced, and what a worker has left there stays', async () => {
  await writeOutput(out, files('worker.js', 'old.js', 'node_modules/a/index.js', 'config/production.json'));
  mkdirSync(join(out, 'files'));
  writeFileSync(join(out, 'files/report.pdf'), 'kept');
  checkOutputFolder(root, out);
  await writeOutput(out, files('worker.js', 'new.js'));
  expect(readdirSync(out).sort()).toEqual(['contents.json', 'files', 'new.js', 'worker.js']);
  expect(readFileSync(join(out, 'files/report.pdf'), 'utf8')).toBe('kept');
});

test('nothing outside of the folder is removed, whatever its list says', async () => {
  writeFileSync(join(root, 'precious'), '');
  await writeOutput(out, files('worker.js'));
  writeFileSync(join(out, 'contents.json'), JSON.stringify({ islet: '1', files: [{ file: '../precious', bytes: 0 }] }));
  await writeOutput(out, files('worker.js'));
  expect(existsSync(join(root, 'precious'))).toBe(true);
});
