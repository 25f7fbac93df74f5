import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { implement, type TaskContext } from 'islet/task';
import PDFDocument from 'pdfkit';
import type { Dependencies } from '../../queues/documents/dependencies.ts';
import manifest from './manifest.ts';

export default implement(manifest, async (payload, { deps, signal }: TaskContext<Dependencies>) => {
  const target = join(deps.outputFolder, `${payload.name}.pdf`);
  const unfinished = `${target}.${randomUUID()}.tmp`;
  try {
    const pages = await writePdf(payload.title, payload.paragraphs, unfinished, signal);
    const { size } = await stat(unfinished);
    await rename(unfinished, target); // the file appears whole or not at all, so a job that runs twice does no harm
    return { file: target, pages, bytes: size };
  } finally {
    await rm(unfinished, { force: true });
  }
});

async function writePdf(title: string, paragraphs: string[], path: string, signal: AbortSignal): Promise<number> {
  const document = new PDFDocument({ size: 'A4', autoFirstPage: false, info: { Title: title } });
  let pages = 0;
  document.on('pageAdded', () => {
    pages += 1;
  });
  drawPages(document, title, paragraphs);
  document.end();
  await pipeline(document, createWriteStream(path), { signal });
  return pages;
}

function drawPages(document: PDFKit.PDFDocument, title: string, paragraphs: string[]): void {
  document.addPage();
  document.font('Helvetica-Bold').fontSize(20).text(title).moveDown();
  document.font('Helvetica').fontSize(11);
  for (const paragraph of paragraphs) document.text(paragraph, { align: 'justify' }).moveDown();
}
