import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Page {
  /** The path part of the page's URL, percent-encoded. */
  readonly path: string;
  readonly title: string;
  readonly html: Buffer;
}

interface Document {
  readonly title: string;
  readonly text: string;
}

const documentName = /^(readme.*|changelog.*|package\.json|.*\.md|.*\.d\.[cm]?ts)$/i;
const minBytes = 200;
const maxBytes = 32 * 1024;
const neighbours = 8;

/** Makes one HTML page of every real document under the root's node_modules and src, always in the same order. */
export function loadPages(root: string): Page[] {
  const documents = distinct(['node_modules', 'src'].flatMap((folder) => readDocuments(root, folder)));
  return documents.map((document, at) => ({
    path: pathOf(document),
    title: document.title,
    html: Buffer.from(render(document, at, documents)),
  }));
}

function readDocuments(root: string, folder: string): Document[] {
  return listFiles(root, folder)
    .filter((file) => hasPageSize(join(root, file)))
    .sort()
    .map((file) => ({
      title: file.replace(/^node_modules\//, ''),
      text: readFileSync(join(root, file), 'utf8'),
    }));
}

function listFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    // Hidden folders are tools' caches, which differ from one run to the next.
    if (entry.isDirectory()) return entry.name.startsWith('.') ? [] : listFiles(root, path);
    return entry.isFile() && documentName.test(entry.name) ? [path] : [];
  });
}

function hasPageSize(file: string): boolean {
  const { size } = statSync(file);
  return size >= minBytes && size <= maxBytes;
}

/** Keeps the first of files with equal text: packages ship the same file twice, and a page should count once. */
function distinct(documents: readonly Document[]): Document[] {
  const byText = new Map<string, Document>();
  for (const document of documents) {
    const key = createHash('sha256').update(document.text).digest('hex');
    if (!byText.has(key)) byText.set(key, document);
  }
  return [...byText.values()];
}

function render(document: Document, at: number, documents: readonly Document[]): string {
  const last = documents.length - 1;
  const nextTo = nearby(at, documents).map((other) => `<li>${link(other, other.title)}</li>`);
  const previous = documents[at === 0 ? last : at - 1] ?? document;
  const next = documents[at === last ? 0 : at + 1] ?? document;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(document.title)}</title></head>
<body>
<nav>${link(previous, 'previous')} ${link(next, 'next')} <a href="/">index</a></nav>
<h1>${escapeHtml(document.title)}</h1>
<pre>${escapeHtml(document.text)}</pre>
<ul>${nextTo.join('')}</ul>
</body>
</html>
`;
}

function nearby(at: number, documents: readonly Document[]): Document[] {
  const first = Math.max(0, Math.min(at - neighbours / 2, documents.length - neighbours - 1));
  return documents.slice(first, first + neighbours + 1).filter((other) => other !== documents[at]);
}

function link(document: Document, text: string): string {
  return `<a href="${escapeHtml(pathOf(document))}">${escapeHtml(text)}</a>`;
}

function pathOf(document: Document): string {
  return `/pages/${document.title.split('/').map(encodeURIComponent).join('/')}`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
