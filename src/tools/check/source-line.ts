import { existsSync, readFileSync } from 'node:fs';
import { basename, isAbsolute, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A line of a source file, which is named from the app's folder; no line stands for the file as a whole. */
export interface SourceLine {
  file: string;
  line: number | undefined;
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Returns the source of a file that may be compiled, from the app's folder. */
export function toSource(root: string, file: string): string {
  const path = isAbsolute(file) ? relative(root, file) : file;
  const source = path.replace(/^dist\//, '').replace(/\.js$/, '.ts');
  return existsSync(join(root, source)) ? source : path.replace(/^dist\//, '');
}

/** Reads a file; returns an empty text when there is none. */
export function readSource(root: string, file: string): string {
  const path = join(root, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Finds the number of the first line that matches, from the line `from` on. */
function findLine(root: string, file: string, pattern: RegExp, from = 1): number | undefined {
  const lines = readSource(root, file)
    .split('\n')
    .slice(from - 1);
  const index = lines.findIndex((line) => pattern.test(line));
  return index < 0 ? undefined : index + from;
}

/** Finds the line of a manifest's source that gives an option. */
export function findOption(root: string, file: string, option: string, from = 1): number | undefined {
  return findLine(root, file, new RegExp(`\\b${literally(option)}\\s*[:,]`), from);
}

/** Finds the line that imports a package, by its name, or a file, by the last part of its path. */
export function findImport(root: string, file: string, missing: string): number | undefined {
  const name = isAbsolute(missing) ? basename(missing).replace(/\.[jt]s$/, '') : missing;
  return findLine(root, file, new RegExp(`\\b(from|import)\\b.*${literally(name)}`));
}

/** The frame from which on a stack is Islet's own, which may be installed in the app's folder. */
const importFrame = /\n\s+at (?:async )?importDefault\b/;

/** Finds the first frame of a stack that is the app's own. */
function findInStack(root: string, stack: string): SourceLine | undefined {
  const places = new RegExp(`${literally(root)}/([^\\n]*?):(\\d+)`, 'g');
  const [above = ''] = stack.replaceAll(pathToFileURL(root).href, root).split(importFrame);
  for (const [, path = '', line] of above.matchAll(places)) {
    if (path.includes('node_modules/')) continue;
    return { file: toSource(root, path), line: Number(line) };
  }
  return undefined;
}

/** Reads from a message what an import of the app did not find, and which file imports it. Node does not tell the line. */
export function findMissing(root: string, message: string): { missing: string; importer: string } | undefined {
  const [, missing, importer = ''] = /Cannot find \w+ '([^']+)' imported from ([^\n]+?)\.?$/m.exec(message) ?? [];
  if (missing === undefined || !importer.startsWith(`${root}/`) || importer.includes('node_modules/')) return undefined;
  return { missing, importer: toSource(root, importer) };
}

/** Finds where in the app the import of a file failed; the file as a whole, when that cannot be told. */
export function findSourceLine(
  root: string,
  file: string,
  { message, stack }: { message: string; stack: string },
): SourceLine {
  const inStack = findInStack(root, stack.replace(message, ''));
  if (inStack) return inStack;
  const wanted = findMissing(root, message);
  if (!wanted) return { file: toSource(root, file), line: undefined };
  return { file: wanted.importer, line: findImport(root, wanted.importer, wanted.missing) };
}
