import { type Message, transform } from 'esbuild';
import { isKnown, packageOf } from './packages.ts';

/** What esbuild says of an import that it cannot see through, as a clause. */
const computed: Record<string, string> = {
  'unsupported-dynamic-import': 'computes an import()',
  'unsupported-require-call': 'computes a require()',
  'indirect-require': 'hands on require()',
  'require-resolve-not-external': 'looks for a module by require.resolve()',
};

/** Makes esbuild tell of them, also inside of packages. */
export const computedWarnings = Object.fromEntries(Object.keys(computed).map((id) => [id, 'warning' as const]));

export interface ComputedImport {
  /** From the app's folder. */
  readonly place: string;
  readonly what: string;
  /** Undefined for the app's own code. */
  readonly package: string | undefined;
}

/** The computed imports among esbuild's warnings, without those that Islet knows to be harmless. */
export function findComputedImports(warnings: readonly Message[], isIslet: (file: string) => boolean) {
  return warnings.flatMap(({ id, location }): ComputedImport[] => {
    const what = computed[id];
    if (what === undefined || location === null || isIslet(location.file)) return [];
    const name = packageOf(location.file)?.name;
    if (name !== undefined && isKnown(name)) return [];
    return [{ place: `${shorten(location.file)}:${location.line}`, what, package: name }];
  });
}

/** A file of a package's by the package's name, wherever that is installed. */
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

/** Whether a module asks where its own file is: then files beside it may be read, and it has to stay where it is. */
export async function looksBesideItself(text: string): Promise<boolean> {
  if (!/__dirname|__filename|import\.meta\./.test(text)) return false;
  // The parser tells names from words in comments and from variables of the same name.
  const { code } = await transform(text, { define: places, minifyWhitespace: true, logLevel: 'silent' }).catch(() => ({
    code: '__islet_place__',
  }));
  return code.includes('__islet_place__');
}
