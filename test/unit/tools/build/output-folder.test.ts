import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, parse } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
  expect(() => checkOutputFolder(root, out)).toThrow(`${out} is not a folder.`);
  expect(() => checkOutputFolder(root, root)).toThrow(`${root} holds the app itself.`);
  for (const folder of [dirname(root), parse(root).root]) {
    expect(() => checkOutputFolder(root, folder)).toThrow(`${folder} holds the app itself.`);
  }
});

describe('a link', () => {
  let outside: string;

  beforeEach(() => {
    outside = join(root, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'production.json'), 'precious');
  });

  afterEach(() => {
    expect(readdirSync(outside)).toEqual(['production.json']);
    expect(readFileSync(join(outside, 'production.json'), 'utf8')).toBe('precious');
  });

  test('to a folder is refused as one to build into', () => {
    symlinkSync(outside, out);
    expect(() => checkOutputFolder(root, out)).toThrow(`${out} is not a folder.`);
  });

  test('in place of a folder of the earlier build is refused: nothing is removed where it leads to', async () => {
    await writeOutput(out, files('worker.js', 'config/production.json'));
    rmSync(join(out, 'config'), { recursive: true });
    symlinkSync(outside, join(out, 'config'));
    const message = `${join(out, 'config')} is a link, and a build stays in its folder. Nothing was built.`;
    expect(() => checkOutputFolder(root, out)).toThrow(message);
    await expect(writeOutput(out, files('worker.js'))).rejects.toThrow(message);
    expect(readdirSync(out)).toContain('worker.js');
  });

  test('in place of a folder of the new build is refused: nothing is written where it leads to', async () => {
    await writeOutput(out, files('worker.js'));
    symlinkSync(outside, join(out, 'config'));
    await expect(writeOutput(out, files('config/production.json'))).rejects.toMatchObject({
      code: 'E_FOLDER_NOT_EMPTY',
    });
    expect(readdirSync(out)).toContain('worker.js');
  });

  test('in place of a file is replaced by that', async () => {
    await writeOutput(out, files('worker.js'));
    symlinkSync(join(outside, 'production.json'), join(out, 'new.js'));
    await writeOutput(out, files('worker.js', 'new.js'));
    expect(readFileSync(join(out, 'new.js'), 'utf8')).toBe('x');
  });
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
  const named = ['../precious', '', '.', 5, `${root}/precious`].map((file) => ({ file, bytes: 0 }));
  writeFileSync(join(out, 'contents.json'), JSON.stringify({ islet: '1', files: named }));
  await writeOutput(out, files('worker.js'));
  expect(existsSync(join(root, 'precious'))).toBe(true);
});
