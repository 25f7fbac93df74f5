import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import type { OnLoadResult, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from 'esbuild';
import { type ComputedImport, looksBesideItself, shorten, tryLoads } from './judge-module.ts';
import { keepClassNames, namesModule } from './keep-names.ts';
import { isKnown, nameOf, nativeLoaders, packageOf, replacements } from './packages.ts';
import { NotCompiledError, type OwnModule, readOwnModule, writePlace } from './read-module.ts';

/** An import of a package that stays outside of the bundle, and the folder of the module that imports it. */
export interface Use {
  readonly specifier: string;
  readonly folder: string;
  readonly kind: 'import' | 'require';
}

export interface PluginOptions {
  /** The app's folder. */
  readonly root: string;
  /** The folder of Islet's own modules, and how their names end. */
  readonly islet: { folder: string; ending: string };
  /** The text of the module `islet:entry`. */
  readonly entry: string;
  /** The text of the module `islet:unit`, where there is one. */
  readonly unitEntry: string | undefined;
  /** Packages that are copied, not bundled. */
  readonly copied: ReadonlyMap<string, string>;
  /** Packages that are left out, and files of the app whose computed imports are left to the run time. */
  readonly excluded: ReadonlySet<string>;
  onComputed(found: ComputedImport): void;
  /** Says that a package has to be copied after all. */
  onCopy(name: string, because: string): void;
  onUse(use: Use): void;
  /** Says that a file of the app is loaded from its own place. */
  onFile(file: string): void;
  /** Says that a package is bundled because somebody other than Islet imports it. */
  onBundled(name: string): void;
}

type Resolve = (args: OnResolveArgs, path?: string) => Promise<OnResolveResult | undefined>;

const seen = 'islet';

/** Tells whether a specifier names a package. Its name may begin with a dot, as that of what Prisma generates does. */
const isBare = (specifier: string) => !/^(\.{0,2}(\/|$)|[a-z]:)/i.test(specifier) && !isBuiltin(specifier);

/** How esbuild names the kinds of imports. */
const importEnds = { import: 'statement', require: 'call' };

/** Resolves as esbuild does, but stays silent about what is missing, which esbuild reports itself. */
function createResolve(build: PluginBuild): Resolve {
  return async ({ importer, namespace, resolveDir, kind }, path = '') => {
    const found = await build.resolve(path, { importer, namespace, resolveDir, kind, pluginData: seen });
    if (found.errors.length > 0) return undefined;
    const { path: file, namespace: space, sideEffects, suffix, external } = found;
    return { path: file, namespace: space, sideEffects, suffix, external };
  };
}

/**
 * Resolves BullMQ's modules as free of side effects, so that the unused ones are dropped. They do nothing when they are
 * loaded, but BullMQ's package.json does not say so.
 */
async function resolveBullmq(args: OnResolveArgs, resolve: Resolve): Promise<OnResolveResult | undefined> {
  const found = await resolve(args, args.path === 'bullmq' ? 'bullmq/dist/esm/index.js' : args.path);
  return found?.path && packageOf(found.path)?.name === 'bullmq' ? { ...found, sideEffects: false } : found;
}

/** Resolves msgpackr to its entry without the native helper, whose work its JavaScript does as well. */
async function resolveMsgpackr(args: OnResolveArgs, resolve: Resolve): Promise<OnResolveResult | undefined> {
  const found = await resolve(args, args.path);
  const folder = found?.path === undefined ? undefined : packageOf(found.path)?.folder;
  return folder === undefined ? found : { path: join(folder, 'index.js'), sideEffects: false };
}

function findReplacement(importer: string | undefined, path: string) {
  return replacements.findIndex((each) => each.importer === importer && each.wanted.test(path));
}

async function resolvePackage(args: OnResolveArgs, options: PluginOptions, resolve: Resolve): Promise<OnResolveResult> {
  const importer = packageOf(args.importer)?.name;
  if (options.excluded.has(nameOf(args.path))) return { path: args.path, external: true };
  if (nativeLoaders.has(args.path) && importer !== undefined && !isKnown(importer)) {
    options.onCopy(importer, `finds a native file by ${args.path}`);
  }
  const found = await resolve(args, args.path);
  // A package may import what is not installed and never run that line; the app's own imports have to be there.
  if (found?.path === undefined) return importer === undefined ? {} : { path: args.path, external: true };
  const wanted = packageOf(found.path);
  if (found.external || wanted === undefined || wanted.name === importer) return found;
  // Islet's own packages keep bundled copies of small libraries, so that a worker starts without loading those from disk.
  if (importer !== undefined && isKnown(importer)) return found;
  if (!options.copied.has(wanted.name)) {
    if (!isKnown(wanted.name)) options.onBundled(wanted.name);
    return found;
  }
  const kind = args.kind.startsWith('require') ? 'require' : 'import';
  options.onUse({ specifier: args.path, folder: args.resolveDir, kind });
  return { path: args.path, external: true };
}

function resolveIslet(path: string, { folder, ending }: PluginOptions['islet']): OnResolveResult {
  return { path: join(folder, path === 'islet' ? `index${ending}` : path.slice('islet/'.length) + ending) };
}

/** Judges what a module of the app looks for by other means than an import: packages of it are copied. */
async function copyLoads(file: string, { loads, place }: OwnModule, options: PluginOptions, resolve: Resolve) {
  for (const { specifier, what, kind, line, column } of loads) {
    const at = place(line, column);
    if (specifier === undefined) options.onComputed({ place: at, what: `computes a ${what}`, package: undefined });
    if (specifier === undefined || isBuiltin(specifier)) continue;
    const asked = { importer: file, namespace: 'file', resolveDir: dirname(file), kind: `${kind}-${importEnds[kind]}` };
    const found = await resolve(asked as OnResolveArgs, specifier);
    const wanted = packageOf(found?.path ?? '');
    if (wanted === undefined && found?.path !== undefined) options.onFile(found.path);
    if (wanted === undefined || options.excluded.has(wanted.name)) continue;
    options.onCopy(wanted.name, `is named by ${what} (${at})`);
    if (options.copied.has(wanted.name)) options.onUse({ specifier, folder: dirname(file), kind });
  }
}

/** Loads a module of the app. What only a compiler understands is refused: its options say what that means. */
async function loadOwn(file: string, options: PluginOptions, resolve: Resolve): Promise<OnLoadResult | undefined> {
  const shown = relative(options.root, file).replaceAll('\\', '/');
  try {
    const module = await readOwnModule(file, options.root);
    await copyLoads(file, module, options, resolve);
    return { contents: module.code, loader: 'js', resolveDir: dirname(file) };
  } catch (error) {
    // Of all other code that cannot be parsed, esbuild says what is wrong.
    if (!(error instanceof NotCompiledError)) return undefined;
    const text = `${shown} has to be compiled first, by "npm run build": ${error.message}`;
    return { errors: [{ text }] };
  }
}

async function loadModule(file: string, options: PluginOptions, resolve: Resolve): Promise<OnLoadResult | undefined> {
  const owner = packageOf(file)?.name;
  const isIslet = owner === 'islet' || file.startsWith(options.islet.folder);
  if (owner === undefined && !isIslet) return loadOwn(file, options, resolve);
  const text = await readFile(file, 'utf8');
  if (owner !== undefined && !isIslet && !isKnown(owner)) {
    if (await looksBesideItself(text)) options.onCopy(owner, `looks for files beside ${shorten(file)}`);
    const [load] = tryLoads(text);
    if (load) options.onCopy(owner, `looks for a module by ${load.what} (${shorten(file)}:${load.line})`);
  }
  if (!/\.m?js$/.test(file)) return undefined;
  const contents = tryKeeping(text);
  return contents === text ? undefined : { contents, loader: 'js', resolveDir: dirname(file) };
}

/** Leaves code alone that cannot be parsed: esbuild will say why. */
function tryKeeping(text: string): string {
  try {
    return keepClassNames(text);
  } catch {
    return text;
  }
}

/** Loads a native file of the app from its place in the built folder. */
const loadNative = (name: string): OnLoadResult => ({
  contents: `process.dlopen(module, require(${JSON.stringify(`islet-place:${name}`)}).filename);`,
});

/** Creates the plugin by which esbuild finds Islet's modules, leaves packages outside, and replaces heavy parts. */
export function createPlugin(options: PluginOptions): Plugin {
  const setup = (build: PluginBuild) => {
    const resolve = createResolve(build);
    build.onResolve({ filter: /.*/ }, async (args) => {
      if (args.pluginData === seen || isBuiltin(args.path)) return undefined;
      if (args.path === 'islet:entry') return { path: 'entry', namespace: 'islet-entry' };
      if (args.path === 'islet:unit') return { path: 'unit', namespace: 'islet-entry' };
      if (args.path === namesModule.path) return { path: 'names', namespace: 'islet-names', sideEffects: false };
      if (args.path.startsWith('islet-place:')) return { path: args.path.slice(12), namespace: 'islet-place' };
      if (/^islet(\/|$)/.test(args.path)) return resolveIslet(args.path, options.islet);
      const importer = packageOf(args.importer)?.name;
      const replacement = args.namespace === 'islet-instead' ? -1 : findReplacement(importer, args.path);
      if (replacement >= 0) {
        return { path: args.path, namespace: 'islet-instead', pluginData: { replacement, folder: args.resolveDir } };
      }
      if (args.path === 'msgpackr') return resolveMsgpackr(args, resolve);
      if (args.path === 'bullmq' || importer === 'bullmq') return resolveBullmq(args, resolve);
      return isBare(args.path) && args.kind !== 'entry-point' ? resolvePackage(args, options, resolve) : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'islet-entry' }, ({ path }) => ({
      contents: path === 'unit' ? options.unitEntry : options.entry,
      resolveDir: options.root,
    }));
    build.onLoad({ filter: /.*/, namespace: 'islet-instead' }, ({ pluginData }) => ({
      contents: replacements[pluginData.replacement]?.code,
      resolveDir: pluginData.folder,
    }));
    build.onLoad({ filter: /.*/, namespace: 'islet-names' }, () => ({ contents: namesModule.code }));
    build.onLoad({ filter: /.*/, namespace: 'islet-place' }, ({ path }) => ({ contents: writePlace(path) }));
    build.onLoad({ filter: /\.node$/, namespace: 'file' }, ({ path }) => {
      const owner = packageOf(path)?.name;
      if (owner === undefined) return loadNative(relative(options.root, path).replaceAll('\\', '/'));
      options.onCopy(owner, 'has native code');
      return { contents: '' };
    });
    build.onLoad({ filter: /\.[cm]?[jt]sx?$/, namespace: 'file' }, ({ path }) => loadModule(path, options, resolve));
  };
  return { name: 'islet', setup };
}
