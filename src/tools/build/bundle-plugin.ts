import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from 'esbuild';
import { looksBesideItself, shorten } from './judge-module.ts';
import { isKnown, nativeLoaders, packageOf, replacements } from './packages.ts';

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
  /** Says that a package has to be copied after all. */
  onCopy(name: string, because: string): void;
  onUse(use: Use): void;
  /** Says that a package is bundled because somebody other than Islet imports it. */
  onBundled(name: string): void;
}

type Resolve = (args: OnResolveArgs, path?: string) => Promise<OnResolveResult | undefined>;

const seen = 'islet';

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

/**
 * Rewrites what a module says of its own place, so that files beside it are found: the place that it had in the app's
 * folder, below the built folder, wherever its bundled code stands there.
 */
function keepPlace(text: string, file: string, root: string): string {
  const place = `new URL(${JSON.stringify(`./${relative(root, file).replaceAll('\\', '/')}`)}, import.meta.url)`;
  const path = `process.getBuiltinModule("node:url").fileURLToPath(${place})`;
  const folder = `process.getBuiltinModule("node:path").dirname(${path})`;
  const values: Record<string, string> = { url: `${place}.href`, filename: path, dirname: folder };
  return text.replace(/\bimport\.meta\.(url|filename|dirname)\b/g, (whole, name: string) => values[name] ?? whole);
}

async function loadModule(file: string, options: PluginOptions) {
  const owner = packageOf(file)?.name;
  if (owner !== undefined && isKnown(owner)) return undefined;
  if (owner === undefined && file.startsWith(options.islet.folder)) return undefined;
  if (owner === 'islet') return undefined;
  const text = await readFile(file, 'utf8');
  if (!(await looksBesideItself(text))) return undefined;
  if (owner !== undefined) {
    options.onCopy(owner, `looks for files beside ${shorten(file)}`);
    return undefined;
  }
  const loader = file.endsWith('ts') ? ('ts' as const) : ('js' as const);
  return { contents: keepPlace(text, file, options.root), loader, resolveDir: dirname(file) };
}

/** Creates the plugin by which esbuild finds Islet's modules, leaves packages outside, and replaces heavy parts. */
export function createPlugin(options: PluginOptions): Plugin {
  const setup = (build: PluginBuild) => {
    const resolve = createResolve(build);
    build.onResolve({ filter: /.*/ }, async (args) => {
      if (args.pluginData === seen || isBuiltin(args.path)) return undefined;
      if (args.path === 'islet:entry') return { path: 'entry', namespace: 'islet-entry' };
      if (args.path === 'islet:unit') return { path: 'unit', namespace: 'islet-entry' };
      if (/^islet(\/|$)/.test(args.path)) return resolveIslet(args.path, options.islet);
      const importer = packageOf(args.importer)?.name;
      const replacement = args.namespace === 'islet-instead' ? -1 : findReplacement(importer, args.path);
      if (replacement >= 0) {
        return { path: args.path, namespace: 'islet-instead', pluginData: { replacement, folder: args.resolveDir } };
      }
      if (args.path === 'msgpackr') return resolveMsgpackr(args, resolve);
      if (args.path === 'bullmq' || importer === 'bullmq') return resolveBullmq(args, resolve);
      const bare = /^[^./]/.test(args.path) && !/^[a-z]:/i.test(args.path) && args.kind !== 'entry-point';
      return bare ? resolvePackage(args, options, resolve) : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'islet-entry' }, ({ path }) => ({
      contents: path === 'unit' ? options.unitEntry : options.entry,
      resolveDir: options.root,
    }));
    build.onLoad({ filter: /.*/, namespace: 'islet-instead' }, ({ pluginData }) => ({
      contents: replacements[pluginData.replacement]?.code,
      resolveDir: pluginData.folder,
    }));
    build.onLoad({ filter: /\.node$/, namespace: 'file' }, ({ path }) => {
      const owner = packageOf(path)?.name;
      if (owner === undefined)
        return { errors: [{ text: 'A native file of the app cannot be built in: put it into a package.' }] };
      options.onCopy(owner, 'has native code');
      return { contents: '' };
    });
    build.onLoad({ filter: /\.[cm]?[jt]s$/, namespace: 'file' }, ({ path }) => loadModule(path, options));
  };
  return { name: 'islet', setup };
}
