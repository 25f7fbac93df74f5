import { existsSync, readFileSync } from 'node:fs';
import { basename, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Imported } from './import-module.ts';

/** Something of an app that has to be mended. */
export interface Problem {
  /** One of Islet's error codes. */
  code: string;
  /** The queue that it concerns; undefined when it is no single one. */
  queue: string | undefined;
  /** From the app's folder, as its author knows it: the source, not what was compiled from it. */
  file: string | undefined;
  line: number | undefined;
  message: string;
}

/** The source of a file that may be compiled, from the app's folder. */
export function toSource(root: string, file: string): string {
  const path = isAbsolute(file) ? relative(root, file) : file;
  const source = path.replace(/^dist\//, '').replace(/\.js$/, '.ts');
  return existsSync(join(root, source)) ? source : path.replace(/^dist\//, '');
}

/** Where in the app an import failed: the first place of the stack that is the app's own. */
function findPlace(root: string, file: string, { message, stack }: Imported & { ok: false }) {
  const places = stack.matchAll(/(file:\/\/[^\s():]+|\/[^\s():]+):(\d+)/g);
  for (const [, place = '', line] of places) {
    const path = relative(root, place.startsWith('file:') ? fileURLToPath(place) : place);
    if (path.startsWith('..') || path.includes('node_modules')) continue;
    return { file: toSource(root, path), line: Number(line) };
  }
  // Node names what is missing, and who imports it, but not the line.
  const [, missing, importer] = /^Cannot find \w+ '([^']+)' imported from (\S+)/.exec(message) ?? [];
  const source = toSource(root, importer === undefined || !importer.startsWith(root) ? file : importer);
  return { file: source, line: missing === undefined ? undefined : findImport(root, source, missing) };
}

/** The number of the first line of a file that matches. */
export function findLine(root: string, file: string, pattern: RegExp): number | undefined {
  const path = join(root, file);
  if (!existsSync(path)) return undefined;
  const index = readFileSync(path, 'utf8')
    .split('\n')
    .findIndex((line) => pattern.test(line));
  return index < 0 ? undefined : index + 1;
}

/** The line that imports this: by its name if it is a package, else by its last part. */
function findImport(root: string, file: string, missing: string): number | undefined {
  const name = isAbsolute(missing) ? basename(missing).replace(/\.[jt]s$/, '') : missing;
  const literal = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return findLine(root, file, new RegExp(`\\b(from|import)\\b.*${literal}`));
}

/** What a failed import tells the app's author; `code` is for what is no error of Islet's. */
export function toProblem(
  root: string,
  where: { code: string; queue?: string; file: string },
  imported: Imported & { ok: false },
): Problem {
  const place = findPlace(root, where.file, imported);
  const message = imported.stack === '' ? `${where.file}: ${imported.message}` : imported.message;
  const shown = message.replaceAll(`${root}/`, '').replace(/\bdist\/[^\s:]+\.[jt]s\b/g, (path) => toSource(root, path));
  return { code: imported.code ?? where.code, queue: where.queue, ...place, message: shown };
}
