import { join } from 'node:path';
import { type BuildFailure, build, type Metafile } from 'esbuild';
import { IsletError } from '../../errors.ts';
import { createPlugin, type PluginOptions, type Use } from './bundle-plugin.ts';
import { type ComputedImport, computedWarnings, findComputedImports, shorten } from './judge-module.ts';
import { removeMarks } from './keep-names.ts';
import { nameOf, packageOf } from './packages.ts';
import { nameSources } from './source-maps.ts';

interface BundleRequest extends Pick<PluginOptions, 'root' | 'islet' | 'entry' | 'unitEntry' | 'copied' | 'excluded'> {
  /** The name of the entry's file, without its ending. */
  readonly name: string;
  /** Further modules that are started by their file, as threads are; by the name of that file, without its ending. */
  readonly further: Readonly<Record<string, string>>;
}

export interface Bundle {
  /** The bundle's files, by their names in the built folder. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** How many bytes of each package are in the bundle, by the package's real folder. */
  readonly bundled: ReadonlyMap<string, number>;
  /** The app's own modules in the bundle. */
  readonly modules: readonly string[];
  /** The packages that cannot be bundled after all, and why. */
  readonly toCopy: ReadonlyMap<string, string>;
  /** Where packages among those load modules by names that they compute. */
  readonly computed: readonly ComputedImport[];
  readonly uses: readonly Use[];
  /** The files of the app that its code loads from their own places. */
  readonly loaded: ReadonlySet<string>;
  /** The names of the bundled packages that somebody other than Islet imports. */
  readonly shared: ReadonlySet<string>;
}

/** Gives bundled CommonJS code what it still uses: require() for Node's own modules, and the place of its file. */
const banner =
  `import { createRequire as __isletRequire } from 'node:module'; const require = __isletRequire(import.meta.url), ` +
  '__dirname = import.meta.dirname, __filename = import.meta.filename;';

const failed = (reasons: readonly string[]) =>
  new IsletError('E_BUILD_FAILED', `The build failed, and nothing was written. ${reasons.join('\n')}`);

function explainFailure(error: unknown): unknown {
  const { errors } = error as Partial<BuildFailure>;
  if (!errors) return error;
  return failed(
    errors.map(({ text, location }) => {
      const [, missing] = /^Could not resolve "([^"./][^"]*)"/.exec(text) ?? [];
      const advice = missing === undefined ? '' : ` Install it, or leave it out by --exclude ${nameOf(missing)}.`;
      return `${location ? `${shorten(location.file)}:${location.line}: ` : ''}${text}.${advice}`;
    }),
  );
}

function refuseComputed(found: readonly ComputedImport[], excluded: ReadonlySet<string>): void {
  const isLeft = ({ place }: ComputedImport) => excluded.has(place.replace(/:\d+$/, ''));
  const own = found.filter((each) => each.package === undefined && !isLeft(each));
  if (own.length === 0) return;
  const seen = own.map(({ place, what }) => `${place} ${what}: what it loads cannot be known before it runs.`);
  const ways =
    'Name each module in an import() of its own, such as import("./a.ts"). Or pack what it loads by --include';
  throw failed([
    ...seen,
    `${ways} <name>, and leave it to the run time by --exclude ${own[0]?.place.replace(/:\d+$/, '')}.`,
  ]);
}

function sumPackages({ outputs }: Metafile, root: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = packageOf(join(root, file))?.folder;
      if (folder !== undefined && bytesInOutput > 0) sums.set(folder, (sums.get(folder) ?? 0) + bytesInOutput);
    }
  }
  return sums;
}

/** What a bundling has found out about packages. */
interface Found {
  readonly toCopy: Map<string, string>;
  readonly uses: Use[];
  readonly shared: Set<string>;
  readonly computed: ComputedImport[];
  readonly loaded: Set<string>;
}

function addCopy({ toCopy }: Found, name: string, because: string): void {
  const known = toCopy.get(name);
  // Modules are loaded at once: of several reasons, the list of contents has always the same one.
  if (known === undefined || because < known) toCopy.set(name, because);
}

function runBuild(request: BundleRequest, outdir: string, found: Found) {
  const { name, unitEntry, further, ...rest } = request;
  return build({
    absWorkingDir: rest.root,
    entryPoints: { [name]: 'islet:entry', ...(unitEntry ? { unit: 'islet:unit' } : {}), ...further },
    outdir,
    write: false,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Names and functions of the app stay as they are: some find parameters by name, or send a function's text elsewhere.
    minifyWhitespace: true,
    charset: 'utf8',
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    banner: { js: banner },
    chunkNames: '[name]-[hash]',
    // The app's own compiler options must not change what Node itself would do with TypeScript.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    logLevel: 'silent',
    logOverride: computedWarnings,
    plugins: [
      createPlugin({
        ...rest,
        unitEntry,
        onCopy: (wanted, because) => addCopy(found, wanted, because),
        onComputed: (each) => found.computed.push(each),
        onFile: (file) => found.loaded.add(file),
        onUse: (use) => found.uses.push(use),
        onBundled: (each) => found.shared.add(each),
      }),
    ],
  }).catch((error) => {
    throw explainFailure(error);
  });
}

/** Lists the app's own modules in a bundle. */
function listModules({ inputs }: Metafile, { root, islet }: BundleRequest): string[] {
  const files = Object.keys(inputs).filter((file) => !/^islet-\w+:/.test(file));
  return files
    .map((file) => join(root, file))
    .filter((file) => packageOf(file) === undefined && !file.startsWith(islet.folder));
}

/** Bundles code, and says which packages have to be copied instead. Throws `E_BUILD_FAILED`. */
export async function bundle(request: BundleRequest): Promise<Bundle> {
  const { root, islet } = request;
  const outdir = join(root, '.islet', 'bundle');
  const found: Found = { toCopy: new Map(), uses: [], shared: new Set(), computed: [], loaded: new Set() };
  const { warnings, metafile, outputFiles } = await runBuild(request, outdir, found);
  const isIslet = (file: string) => join(root, file).startsWith(islet.folder) || packageOf(file)?.name === 'islet';
  found.computed.push(...findComputedImports(warnings, isIslet));
  refuseComputed(found.computed, request.excluded);
  for (const each of found.computed) {
    if (each.package !== undefined) addCopy(found, each.package, `${each.what} (${each.place})`);
  }
  const files = outputFiles.map(({ path, contents }): [string, Uint8Array] => [
    path.slice(outdir.length + 1),
    path.endsWith('.map')
      ? nameSources(contents, { root, outdir, islet: islet.folder })
      : Buffer.from(removeMarks(Buffer.from(contents).toString('utf8'))),
  ]);
  return {
    ...found,
    files: new Map(files),
    bundled: sumPackages(metafile, root),
    modules: listModules(metafile, request),
  };
}
