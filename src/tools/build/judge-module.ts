import { readFile } from 'node:fs/promises';
import { type BuildFailure, build, type Message, type Plugin, transform } from 'esbuild';
import { findLoads, type Load } from './find-loads.ts';
import { isKnown, packageOf } from './packages.ts';

/** What code does that esbuild cannot see through, as a clause, by the name of esbuild's warning. */
const computed: Record<string, string> = {
  'unsupported-dynamic-import': 'computes an import()',
  'unsupported-require-call': 'computes a require()',
  'indirect-require': 'passes on require()',
  'require-resolve-not-external': 'looks for a module by require.resolve()',
};

/** Makes esbuild warn of computed imports, also inside of packages. */
export const computedWarnings = Object.fromEntries(Object.keys(computed).map((id) => [id, 'warning' as const]));

export interface ComputedImport {
  /** The file, from the app's folder, and the line. */
  readonly place: string;
  readonly what: string;
  /** The package that computes the import; undefined for the app's own code. */
  readonly package: string | undefined;
}

/** Finds the computed imports among esbuild's warnings, without those that Islet knows to be harmless. */
export function findComputedImports(warnings: readonly Message[], isIslet: (file: string) => boolean) {
  return warnings.flatMap(({ id, location }): ComputedImport[] => {
    const what = computed[id];
    if (what === undefined || location === null || isIslet(location.file)) return [];
    const name = packageOf(location.file)?.name;
    if (name !== undefined && isKnown(name)) return [];
    return [{ place: `${shorten(location.file)}:${location.line}`, what, package: name }];
  });
}

/** Finds the computed imports in files of packages that are not bundled. */
export async function judgeFiles(files: readonly string[]): Promise<ComputedImport[]> {
  const entryPoints = files.filter((file) => /\.[cm]?js$/.test(file));
  if (entryPoints.length === 0) return [];
  const outside: Plugin = {
    name: 'outside',
    setup: (setup) =>
      setup.onResolve({ filter: /.*/ }, ({ kind }) => (kind === 'entry-point' ? null : { external: true })),
  };
  const warned = await build({
    entryPoints,
    outdir: '/',
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
    logLimit: 0,
    logOverride: computedWarnings,
    plugins: [outside],
  }).catch((error: Partial<BuildFailure>) => ({ warnings: error.warnings ?? [] }));
  return [...findComputedImports(warned.warnings, () => false), ...(await judgeLoads(entryPoints))];
}

async function judgeLoads(files: readonly string[]): Promise<ComputedImport[]> {
  const found: ComputedImport[] = [];
  for (const file of files) {
    const name = packageOf(file)?.name;
    const loads = name === undefined || isKnown(name) ? [] : tryLoads(await readFile(file, 'utf8'));
    const computing = loads.find(({ specifier }) => specifier === undefined);
    if (computing === undefined) continue;
    found.push({ place: `${shorten(file)}:${computing.line}`, what: `computes a ${computing.what}`, package: name });
  }
  return found;
}

/** Finds what code of a package looks for; nothing in code that cannot be parsed, which is for another system. */
export function tryLoads(code: string): Load[] {
  try {
    return findLoads(code);
  } catch {
    return [];
  }
}

/** Names a file of a package from the package's name on, wherever the package is installed. */
export function shorten(file: string): string {
  const found = packageOf(file);
  return found ? found.name + file.slice(found.folder.length).replaceAll('\\', '/') : file.replaceAll('\\', '/');
}

const places: Record<string, string> = {
  __dirname: '__islet_place__',
  __filename: '__islet_place__',
  'import.meta.url': '__islet_place__',
  'import.meta.dirname': '__islet_place__',
  'import.meta.filename': '__islet_place__',
  'import.meta.resolve': '__islet_place__',
};

/** Says whether a module asks where its own file is: it may then read files beside it, and has to stay where it is. */
export async function looksBesideItself(text: string): Promise<boolean> {
  if (!/__dirname|__filename|import\.meta\./.test(text)) return false;
  // The parser can tell these names from words in comments and from variables of the same name.
  const { code } = await transform(text, { define: places, minifyWhitespace: true, logLevel: 'silent' }).catch(() => ({
    code: '__islet_place__',
  }));
  return code.includes('__islet_place__');
}
