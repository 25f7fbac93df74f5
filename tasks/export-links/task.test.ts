import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ExcelJS from 'exceljs';
import { runTask } from 'islet/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Dependencies } from '../../queues/api-scraper/dependencies.ts';
import task from './task.ts';

const url = 'https://example.com/';
const page = { url, status: 200, title: 'Example', links: [`${url}a`, `${url}b`], textLength: 7 };
let outputFolder: string;

beforeEach(async () => {
  outputFolder = await mkdtemp(join(tmpdir(), 'export-links-'));
});

afterEach(() => rm(outputFolder, { recursive: true }));

function exportLinks(file: string, scrape: Dependencies['scrape'] = async () => page) {
  return runTask(task, { url, file }, { deps: { scrape, outputFolder } as Dependencies });
}

test('writes one row for each link, and the same file again on a rerun', async () => {
  await exportLinks('links');
  const file = join(outputFolder, 'links.xlsx');
  expect(await exportLinks('links')).toMatchObject({ kind: 'completed', result: { file, links: 2 } });
  const workbook = await new ExcelJS.Workbook().xlsx.readFile(file);
  expect(workbook.getWorksheet('Links')?.getColumn(2).values.slice(1)).toEqual(['Link', `${url}a`, `${url}b`]);
  expect(await readdir(outputFolder)).toEqual(['links.xlsx']);
});

test('writes nothing when the page cannot be scraped', async () => {
  const outcome = await exportLinks('links', () => Promise.reject(new Error('down')));
  expect(outcome.kind).toBe('retry');
  expect(await readdir(outputFolder)).toEqual([]);
});

test('refuses a file name that leaves the folder', async () => {
  expect((await exportLinks('../links')).kind).toBe('failed');
});
