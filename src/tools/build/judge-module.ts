import { type Message, transform } from 'esbuild';
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
