import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTask } from 'islet/testing';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import task from './task.ts';

let outputFolder: string;
let source: string;

beforeEach(async () => {
  outputFolder = await mkdtemp(join(tmpdir(), 'make-thumbnail-'));
  source = join(outputFolder, 'source.png');
});

afterEach(() => rm(outputFolder, { recursive: true }));

function makeThumbnail(width = 64) {
  return runTask(task, { source, name: 'small', width }, { deps: { sharp, outputFolder } });
}

function drawSource() {
  return sharp({ create: { width: 200, height: 100, channels: 3, background: 'teal' } })
    .png()
    .toFile(source);
}

test('writes a WebP image of the width asked for, in proportion', async () => {
  await drawSource();
  const file = join(outputFolder, 'small.webp');
  const outcome = await makeThumbnail();
  expect(outcome).toMatchObject({ kind: 'completed', result: { file, width: 64, height: 32 } });
  expect(outcome).toMatchObject({ result: { bytes: (await stat(file)).size } });
  expect((await sharp(file).metadata()).format).toBe('webp');
  expect((await readdir(outputFolder)).sort()).toEqual(['small.webp', 'source.png']);
});

test('enlarges nothing', async () => {
  await drawSource();
  expect(await makeThumbnail(1_000)).toMatchObject({ result: { width: 200, height: 100 } });
});

test('fails at once when the source is missing', async () => {
  expect(await makeThumbnail()).toMatchObject({ kind: 'failed' });
});

test('fails at once when the source is no image', async () => {
  await writeFile(source, 'just text');
  expect(await makeThumbnail()).toMatchObject({ kind: 'failed' });
});

test('refuses a width below 16', async () => {
  expect(await makeThumbnail(15)).toMatchObject({ kind: 'failed' });
});
