import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import ExcelJS from 'exceljs';
import { implement, type TaskContext } from 'islet/task';
import type { Dependencies } from '../../queues/api-scraper/dependencies.ts';
import manifest from './manifest.ts';

export default implement(manifest, async ({ url, file }, { deps, signal }: TaskContext<Dependencies>) => {
  const page = await deps.scrape(url, signal);
  const target = join(deps.outputFolder, `${file}.xlsx`);
  await writeWorkbook(workbookOf(page.url, page.links), target);
  return { file: target, links: page.links.length };
});

function workbookOf(url: string, links: string[]): ExcelJS.Workbook {
  const workbook = new ExcelJS.Workbook();
  const sheet = workbook.addWorksheet('Links');
  sheet.columns = [
    { header: 'Page', key: 'page', width: 50 },
    { header: 'Link', key: 'link', width: 80 },
  ];
  for (const link of links) sheet.addRow({ page: url, link });
  return workbook;
}

/** The file appears whole or not at all, so a job that runs twice does no harm. */
async function writeWorkbook(workbook: ExcelJS.Workbook, target: string): Promise<void> {
  const unfinished = `${target}.${randomUUID()}.tmp`;
  try {
    await workbook.xlsx.writeFile(unfinished);
    await rename(unfinished, target);
  } finally {
    await rm(unfinished, { force: true });
  }
}
