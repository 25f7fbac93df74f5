import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join, parse } from 'node:path';
import { nodeFileTrace, resolve } from '@vercel/nft';
import type { Use } from './bundle-plugin.ts';
import { type ComputedImport, judgeFiles } from './judge-module.ts';
import { findInstalled, isPackage, listDeclared, nameOf, type Package, packageOf, readPackage } from './packages.ts';
import type { Instance } from './place-packages.ts';

export interface TracedPackage extends Instance {
  readonly version: string;
  /** The files that are needed, from the package's folder. */
  readonly files: readonly string[];
  /** The bundled packages whose code loads it; undefined stands for the app's own code. */
  readonly usedBy: ReadonlySet<string | undefined>;
}

export interface Traced {
  readonly packages: readonly TracedPackage[];
  /** Where copied packages load modules by names that they compute. */
  readonly computed: readonly ComputedImport[];
}

export interface TraceOptions {
  /** Files of the app that are not bundled, and may load packages. */
  readonly files: readonly string[];
  /** The app's folder. */
  readonly root: string;
  /** Packages that are known to load modules by names that they compute, or that were asked for. */
  readonly whole: ReadonlySet<string>;
  /** Packages that are left out. */
  readonly excluded: ReadonlySet<string>;
}

/** The files that a package may load by a name that it computes, which leaves out sources, types and documents. */
const loadable = /\.([cm]?js|json|node|wasm|so|dll|dylib)(\.\d+)*$/;

const isCode = (file: string) => /\.[cm]?js$/.test(file);

const asker = (use: Use) => join(use.folder, use.kind === 'require' ? '.islet-uses.cjs' : '.islet-uses.mjs');

/** Writes modules for the tracer that exist on no disk, and import the packages from where the bundled code did. */
function writeAskers(uses: readonly Use[]): Map<string, string> {
  const texts = new Map<string, Set<string>>();
  for (const use of uses) {
    const name = JSON.stringify(use.specifier);
    const lines = texts.get(asker(use)) ?? new Set();
    texts.set(asker(use), lines.add(use.kind === 'require' ? `require(${name});` : `import ${name};`));
  }
  return new Map([...texts].map(([file, lines]) => [file, [...lines].sort().join('\n')]));
}

function listLoadable(folder: string, all: boolean): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && (all || loadable.test(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.slice(folder.length).includes('node_modules'));
}

interface FoundPackage {
  readonly name: string;
  readonly files: Set<string>;
  readonly loadedBy: Set<string | undefined>;
  readonly usedBy: Set<string | undefined>;
}

class Packages {
  readonly #found = new Map<string, FoundPackage>();
  readonly #excluded: ReadonlySet<string>;

  constructor(excluded: ReadonlySet<string>) {
    this.#excluded = excluded;
  }

  add(file: string): void {
    const owner = packageOf(file);
    if (owner && !this.#excluded.has(owner.name)) this.#of(owner).files.add(file);
  }

  load(owner: Package, by: string | undefined): void {
    if (owner.folder !== by && !this.#excluded.has(owner.name)) this.#of(owner).loadedBy.add(by);
  }

  use(owner: Package, by: string | undefined): void {
    if (this.#excluded.has(owner.name)) return;
    this.load(owner, undefined);
    this.#of(owner).usedBy.add(by);
  }

  #of({ name, folder }: Package) {
    let found = this.#found.get(folder);
    if (!found) {
      // What a tool has generated is no package, and has all that it needs beside it.
      const files = isPackage(folder) ? [join(folder, 'package.json')] : listLoadable(folder, true);
      found = { name, files: new Set(files), loadedBy: new Set(), usedBy: new Set() };
      this.#found.set(folder, found);
    }
    return found;
  }

  /**
   * Adds packages for one system as a whole, since they are loaded by names that are computed. Only those for this system
   * are installed.
   */
  addSystemPackages(): void {
    const waiting = [...this.#found.keys()];
    for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
      for (const name of Object.keys(readPackage({ folder }).optionalDependencies ?? {})) {
        const installed = this.#excluded.has(name) ? undefined : findInstalled(name, folder);
        if (!installed) continue;
        const { os, cpu } = readPackage(installed);
        if (os === undefined && cpu === undefined) continue;
        if (!this.#found.has(installed.folder)) waiting.push(installed.folder);
        this.load(installed, folder);
        for (const file of listLoadable(installed.folder, true)) this.add(file);
      }
    }
  }

  list(): TracedPackage[] {
    const sorted = [...this.#found].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([folder, { name, files, loadedBy, usedBy }]) => ({
      name,
      folder,
      loadedBy,
      usedBy,
      version: readPackage({ folder }).version ?? '',
      files: [...files].map((file) => file.slice(folder.length + 1)).sort(),
    }));
  }
}

/** Modules to trace: those that exist on no disk, with their texts, and files. */
interface Start {
  readonly askers: ReadonlyMap<string, string>;
  readonly files: readonly string[];
}

/** Resolves as each Node does: whether the condition `module-sync` holds depends on where the folder will run. */
async function resolveEverywhere(...[id, parent, job, isRequire]: Parameters<typeof resolve>): Promise<string[]> {
  const newer = Object.create(job, { conditions: { value: [...job.conditions, 'module-sync'] } }) as typeof job;
  const found = await Promise.allSettled([job, newer].map((each) => resolve(id, parent, each, isRequire)));
  const paths = found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  if (paths.length === 0 && found[0]?.status === 'rejected') throw found[0].reason;
  return [...new Set(paths)];
}

/** Finds what modules load. Packages whose every file is traced load nothing but what they declare. */
async function trace(start: Start, into: Packages, wholes: ReadonlyMap<string, ReadonlySet<string>>): Promise<void> {
  const { askers, files } = start;
  const base = parse(process.cwd()).root;
  const { reasons } = await nodeFileTrace([...askers.keys(), ...files], {
    base,
    processCwd: join(base, '.islet-nowhere'),
    readFile: async (file) => askers.get(file) ?? readFile(file).catch(() => null),
    resolve(id, parent, job, isRequire) {
      const declared = wholes.get(packageOf(parent)?.folder ?? '');
      // Such a package may have files of its development, which load what happens to be installed.
      const isStray = declared !== undefined && /^[^./#]/.test(id) && !isBuiltin(id) && !declared.has(nameOf(id));
      return isStray ? Promise.resolve([]) : resolveEverywhere(id, parent, job, isRequire);
    },
  });
  for (const [name, { parents }] of reasons) {
    const file = join(base, name);
    const owner = packageOf(file);
    // The file that a link leads to is listed itself.
    if (askers.has(file) || !owner || realpathSync(file) !== file || !lstatSync(file).isFile()) continue;
    into.add(file);
    for (const parent of parents) {
      const by = join(base, parent);
      const loader = packageOf(by);
      if (askers.has(by) && !wholes.has(loader?.folder ?? '')) into.use(owner, loader?.name);
      else into.load(owner, loader?.folder);
    }
  }
}

/** Lists what a package may load by a name that it computes: what it declares, as it would be installed elsewhere. */
function listComputed(folder: string, { root, excluded }: TraceOptions): string[] {
  const { dependencies, devDependencies } = readPackage({ folder: root });
  const tools = new Set(Object.keys(devDependencies ?? {}).filter((name) => dependencies?.[name] === undefined));
  return listDeclared(folder).filter((name) => !tools.has(name) && !excluded.has(name) && findInstalled(name, folder));
}

/** Lists the files that packages need at run time, with those of the packages that they load. */
export async function tracePackages(uses: readonly Use[], options: TraceOptions): Promise<Traced> {
  const packages = new Packages(options.excluded);
  const computed: ComputedImport[] = [];
  const wholes = new Map<string, ReadonlySet<string>>();
  const judged = new Set<string>();
  await trace({ askers: writeAskers(uses), files: options.files.filter(isCode) }, packages, wholes);
  for (;;) {
    const fresh = packages.list().filter(({ folder }) => !judged.has(folder));
    if (fresh.length === 0) break;
    for (const { folder } of fresh) judged.add(folder);
    const found = await judgeFiles(fresh.flatMap(({ folder, files }) => files.map((file) => join(folder, file))));
    computed.push(...found);
    const names = new Set([...options.whole, ...found.map((each) => each.package)]);
    const further = fresh.filter(({ name, folder }) => names.has(name) && isPackage(folder));
    for (const { folder } of further) wholes.set(folder, new Set(listComputed(folder, options)));
    const files = further.flatMap(({ folder }) => listLoadable(folder, false));
    for (const file of files) packages.add(file);
    const loads = further.flatMap(({ folder }) =>
      [...(wholes.get(folder) ?? [])].map((specifier) => ({ specifier, folder, kind: 'require' as const })),
    );
    await trace({ askers: writeAskers(loads), files: files.filter(isCode) }, packages, wholes);
  }
  packages.addSystemPackages();
  return { packages: packages.list(), computed };
}
