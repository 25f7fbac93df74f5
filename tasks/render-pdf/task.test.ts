import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTask } from 'islet/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import task from './task.ts';

let outputFolder: string;

beforeEach(async () => {
  outputFolder = await mkdtemp(join(tmpdir(), 'render-pdf-'));
});

afterEach(() => rm(outputFolder, { recursive: true }));

function renderPdf(paragraphs: string[], name = 'report') {
  return runTask(task, { name, title: 'A report', paragraphs }, { deps: { outputFolder } });
}

test('writes one whole PDF file', async () => {
  const file = join(outputFolder, 'report.pdf');
  const outcome = await renderPdf(['First.', 'Second.']);
  const written = await readFile(file);
  expect(outcome).toMatchObject({ kind: 'completed', result: { file, pages: 1, bytes: written.length } });
  expect(written.subarray(0, 5).toString()).toBe('%PDF-');
  expect(written.toString('latin1').trimEnd().endsWith('%%EOF')).toBe(true);
  expect(await readdir(outputFolder)).toEqual(['report.pdf']);
});

test('counts the pages that a long text needs', async () => {
  const outcome = await renderPdf(Array.from({ length: 200 }, () => 'All work and no play. '.repeat(10)));
  const written = await readFile(join(outputFolder, 'report.pdf'), 'latin1');
  const pages = written.match(/\/Type \/Page\b(?!s)/g)?.length;
  expect(pages).toBeGreaterThan(3);
  expect(outcome).toMatchObject({ result: { pages } });
});

test('refuses a name that leaves the folder', async () => {
  expect((await renderPdf([], '../report')).kind).toBe('failed');
});
