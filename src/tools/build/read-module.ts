import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import nodeModule, { SourceMap, type SourceMapPayload } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { transform } from 'esbuild';
import { findLoads, type Load } from './find-loads.ts';
import { keepNames } from './keep-names.ts';

/** A module of the app as JavaScript, whose names are those of its source. */
export interface OwnModule {
  readonly code: string;
  readonly loads: readonly Load[];
  /** Names a place of the code by the file and line of the source, from the app's folder. */
  place(line: number, column: number): string;
}

/** Says that a module of the app means something only to a compiler. */
export class NotCompiledError extends Error {
  override name = 'NotCompiledError';
}

/** Names what a module says of its own place, so that esbuild replaces exactly that, and no text in a string. */
const ofPlace = {
  'import.meta.url': '__islet_url',
  'import.meta.filename': '__islet_filename',
  'import.meta.dirname': '__islet_dirname',
  'import.meta.resolve': '__islet_resolve',
};

/** What a module of the namespace `islet-place` tells. */
const placeNames = ['url', 'filename', 'dirname', 'resolve'];

const { stripTypeScriptTypes } = nodeModule as { stripTypeScriptTypes?: (code: string) => string };
const isTypeScript = (file: string) => /\.[cm]?ts$/.test(file);
const mapStart = '//# sourceMappingURL=data:application/json;base64,';

/** Takes types away, as the Node that runs the source does. Node 20 runs none, and leaves that to esbuild. */
async function stripTypes(text: string, file: string): Promise<string> {
  if (!isTypeScript(file)) return text;
  if (stripTypeScriptTypes === undefined) return (await transform(text, { loader: 'ts', ...shape(file) })).code;
  const { emitWarning } = process;
  // Node says that this is experimental, which is not what the reader of a build has to know.
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text);
  } catch (error) {
    throw new NotCompiledError((error as Error).message);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Says how esbuild writes one module, with the map of what it has changed. */
const shape = (file: string) =>
  ({
    sourcefile: basename(file),
    sourcemap: 'inline',
    sourcesContent: false,
    charset: 'utf8',
    logLevel: 'silent',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  }) as const;

/** Takes the map of compiled code along, which esbuild reads only from the code itself. */
async function inlineMap(text: string, file: string): Promise<string> {
  const map = `${file}.map`;
  if (!existsSync(map)) return text;
  const code = text.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '');
  return `${code}\n${mapStart}${(await readFile(map)).toString('base64')}\n`;
}

function readMap(code: string): SourceMap | undefined {
  const at = code.lastIndexOf(mapStart);
  if (at < 0) return undefined;
  const content = Buffer.from(code.slice(at + mapStart.length), 'base64').toString('utf8');
  return new SourceMap(JSON.parse(content) as SourceMapPayload);
}

/** Reads a module of the app as it will be bundled. Throws a `NotCompiledError`, and what the parser throws. */
export async function readOwnModule(file: string, root: string): Promise<OwnModule> {
  if (/\.[jt]sx$/.test(file)) throw new NotCompiledError('it has JSX');
  const text = await inlineMap(await stripTypes(await readFile(file, 'utf8'), file), file);
  const map = readMap(text);
  const place = (line: number, column: number) => {
    const found = map?.findEntry(line - 1, column);
    const isFound = found !== undefined && 'originalSource' in found;
    const source = isFound ? join(dirname(file), found.originalSource) : file;
    return `${relative(root, source).replaceAll('\\', '/')}:${isFound ? found.originalLine + 1 : line}`;
  };
  const name = relative(root, file).replaceAll('\\', '/');
  try {
    return { code: await bindPlace(keepNames(text), file, name), loads: findLoads(text), place };
  } catch (error) {
    // Node takes types away, and leaves decorators.
    const { loc } = error as { loc?: { line: number; column: number } };
    if (!isTypeScript(file) || loc === undefined) throw error;
    throw new NotCompiledError(`${place(loc.line, loc.column)} is no JavaScript without its types, as a decorator is`);
  }
}

/** Imports what a module says of its own place from a module that knows the place in the built folder. */
async function bindPlace(text: string, file: string, name: string): Promise<string> {
  if (!text.includes('import.meta')) return text;
  const { code } = await transform(text, { loader: 'js', define: ofPlace, ...shape(file) });
  const used = placeNames.filter((each) => code.includes(`__islet_${each}`));
  if (used.length === 0) return text;
  const names = used.map((each) => `${each} as __islet_${each}`).join(', ');
  return `import { ${names} } from ${JSON.stringify(`islet-place:${name}`)};${code}`;
}

/**
 * Writes the module that knows where a module of the app would stand: at its place in the app's folder, below the built
 * folder, wherever its bundled code stands there.
 */
export function writePlace(name: string): string {
  return [
    "import { dirname as folderOf } from 'node:path';",
    "import { fileURLToPath } from 'node:url';",
    `export const url = new URL(${JSON.stringify(`./${name}`)}, import.meta.url).href;`,
    'export const filename = fileURLToPath(url);',
    'export const dirname = folderOf(filename);',
    'export const resolve = (name) => /^\\.{0,2}\\//.test(name) ? new URL(name, url).href : import.meta.resolve(name);',
  ].join('\n');
}
