import { existsSync, readFileSync } from 'node:fs';
import { basename, isAbsolute, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where something stands: a file of the app's, from its folder, as its author knows it. */
export interface SourceLine {
  file: string;
  line: number | undefined;
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The source of a file that may be compiled, from the app's folder. */
export function toSource(root: string, file: string): string {
  const path = isAbsolute(file) ? relative(root, file) : file;
  const source = path.replace(/^dist\//, '').replace(/\.js$/, '.ts');
  return existsSync(join(root, source)) ? source : path.replace(/^dist\//, '');
}

/** The text of a file, or nothing where there is none. */
export function readSource(root: string, file: string): string {
  const path = join(root, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** The number of the first line of a file, from the line `from` on, that matches. */
export function findLine(root: string, file: string, pattern: RegExp, from = 1): number | undefined {
  const lines = readSource(root, file)
    .split('\n')
    .slice(from - 1);
  const index = lines.findIndex((line) => pattern.test(line));
  return index < 0 ? undefined : index + from;
}

/** The line of a manifest's source that gives an option. */
export function findOption(root: string, file: string, option: string, from = 1): number | undefined {
  return findLine(root, file, new RegExp(`\\b${literally(option)}\\s*[:,]`), from);
}

/** The line that imports this: by its name if it is a package, else by its last part. */
export function findImport(root: string, file: string, missing: string): number | undefined {
  const name = isAbsolute(missing) ? basename(missing).replace(/\.[jt]s$/, '') : missing;
  return findLine(root, file, new RegExp(`\\b(from|import)\\b.*${literally(name)}`));
}

/** From here on down a stack is Islet's, which may stand in the app's folder itself. */
const importFrame = /\n\s+at (?:async )?importDefault\b/;

/** The first place of a stack that is the app's own. */
function findInStack(root: string, stack: string): SourceLine | undefined {
  const places = new RegExp(`${literally(root)}/([^\\n]*?):(\\d+)`, 'g');
  const [above = ''] = stack.replaceAll(pathToFileURL(root).href, root).split(importFrame);
  for (const [, path = '', line] of above.matchAll(places)) {
    if (path.includes('node_modules/')) continue;
    return { file: toSource(root, path), line: Number(line) };
  }
  return undefined;
}

/** What an import did not find, and who wanted it, where the app itself did: Node does not tell the line. */
export function findMissing(root: string, message: string): { missing: string; importer: string } | undefined {
  const [, missing, importer = ''] = /Cannot find \w+ '([^']+)' imported from ([^\n]+?)\.?$/m.exec(message) ?? [];
  if (missing === undefined || !importer.startsWith(`${root}/`) || importer.includes('node_modules/')) return undefined;
  return { missing, importer: toSource(root, importer) };
}

/** Where in the app the import of a file failed; the file as a whole, where nobody can tell. */
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
