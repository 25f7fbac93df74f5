import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { placeFolders } from '../../../../src/tools/scaffold/place-folders.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'islet-place-'));
});

afterEach(() => rm(root, { recursive: true, force: true }));

const task = (name: string, text = name) => ({
  path: `tasks/${name}`,
  files: { 'manifest.ts': text, 'task.ts': text },
});
const queue = { path: 'queues/mail', files: { 'manifest.ts': 'mail' } };

async function tree(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

const paths = (folders: { path: string }[]) => folders.map(({ path }) => path);

describe('placeFolders', () => {
  test('places a folder and the one that it needs, and leaves nothing else behind', async () => {
    expect(paths(await placeFolders(root, task('a'), queue))).toEqual(['queues/mail', 'tasks/a']);
    expect(await tree()).toEqual(['queues/mail/manifest.ts', 'tasks/a/manifest.ts', 'tasks/a/task.ts']);
  });

  test('places nothing when the name is taken, not even the other folder', async () => {
    await placeFolders(root, task('a', 'first'));
    expect(await placeFolders(root, task('a', 'second'), queue)).toEqual([]);
    expect(await readFile(join(root, 'tasks/a/task.ts'), 'utf8')).toBe('first');
    expect(await tree()).toEqual(['tasks/a/manifest.ts', 'tasks/a/task.ts']);
  });

  test('takes the needed folder as it stands', async () => {
    await mkdir(join(root, 'queues/mail'), { recursive: true });
    await writeFile(join(root, 'queues/mail/manifest.ts'), 'mine');
    expect(paths(await placeFolders(root, task('a'), queue))).toEqual(['tasks/a']);
    expect(await readFile(join(root, 'queues/mail/manifest.ts'), 'utf8')).toBe('mine');
  });

  test('lets one of many win, whole', async () => {
    const rivals = Array.from({ length: 20 }, (_, index) => placeFolders(root, task('a', `rival ${index}`), queue));
    const winners = (await Promise.all(rivals)).flatMap((placed, index) => (placed.length > 0 ? [index] : []));
    expect(winners).toHaveLength(1);
    for (const file of ['manifest.ts', 'task.ts']) {
      expect(await readFile(join(root, 'tasks/a', file), 'utf8')).toBe(`rival ${winners[0]}`);
    }
    expect(await tree()).toEqual(['queues/mail/manifest.ts', 'tasks/a/manifest.ts', 'tasks/a/task.ts']);
  });

  test('places what many need once, and what each wants', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `t${index}`);
    const placed = await Promise.all(names.map((name) => placeFolders(root, task(name), queue)));
    expect(placed.every((folders) => paths(folders).some((path) => path.startsWith('tasks/')))).toBe(true);
    expect(paths(placed.flat()).filter((path) => path === 'queues/mail')).toHaveLength(1);
  });

  test('places nothing when somebody else has claimed the name and is not done yet', async () => {
    await mkdir(join(root, 'tasks/a'), { recursive: true });
    expect(await placeFolders(root, task('a'), queue)).toEqual([]);
    expect(await tree()).toEqual([]);
  });

  // A folder without files is never written, so moving it fails.
  test.each([
    ['the first move', task('a'), { ...queue, files: {} }],
    ['the last move', { ...task('a'), files: {} }, queue],
  ])('takes back what it had placed when %s fails', async (_, wanted, needed) => {
    await expect(placeFolders(root, wanted, needed)).rejects.toThrow('ENOENT');
    expect(await tree()).toEqual([]);
    expect(await placeFolders(root, task('a'), queue)).toHaveLength(2);
  });

  test('places nothing when a file cannot be written', async () => {
    const broken = { path: 'tasks/a', files: { 'manifest.ts': 'a', 'manifest.ts/task.ts': 'a' } };
    await expect(placeFolders(root, broken, queue)).rejects.toThrow();
    expect(await tree()).toEqual([]);
    expect(await placeFolders(root, task('a'))).toHaveLength(1);
  });
});
