import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { nodeFileTrace } from '@vercel/nft';
import type { Use } from './bundle-plugin.ts';
import { type Package, packageOf, readPackage } from './packages.ts';
import type { Instance } from './place-packages.ts';

export interface TracedPackage extends Instance {
  readonly version: string;
  /** The files that are needed, from the package's folder. */
  readonly files: readonly string[];
}

/** The files that a package may load by a name that it computes, which leaves out sources, types and documents. */
const loadable = /\.([cm]?js|json|node|wasm|so|dll|dylib)(\.\d+)*$/;

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

function findInstalled(name: string, from: string): Package | undefined {
  for (let folder = from; ; folder = join(folder, '..')) {
    const candidate = join(folder, 'node_modules', name);
    if (lstatSync(join(candidate, 'package.json'), { throwIfNoEntry: false }))
      return { name, folder: realpathSync(candidate) };
    if (folder === parse(folder).root) return undefined;
  }
}

class Packages {
  readonly #found = new Map<string, { name: string; files: Set<string>; loadedBy: Set<string | undefined> }>();

  add(file: string): void {
    const owner = packageOf(file);
    if (owner) this.#of(owner).files.add(file);
  }

  load(owner: Package, by: string | undefined): void {
    if (owner.folder !== by) this.#of(owner).loadedBy.add(by);
  }

  #of({ name, folder }: Package) {
    let found = this.#found.get(folder);
    if (!found) {
      found = { name, files: new Set([join(folder, 'package.json')]), loadedBy: new Set() };
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
        const installed = findInstalled(name, folder);
        if (!installed) continue;
        const { os, cpu } = readPackage(installed);
        if (os === undefined && cpu === undefined) continue;
        if (!this.#found.has(installed.folder)) waiting.push(installed.folder);
        this.load(installed, folder);
        for (const file of listLoadable(installed.folder, true)) this.add(file);
      }
    }
  }

  /** Adds, for packages that compute their imports, all files of theirs that they could load. */
  addWhole(names: ReadonlySet<string>): void {
    for (const [folder, { name }] of this.#found) {
      if (names.has(name)) for (const file of listLoadable(folder, false)) this.add(file);
    }
  }

  list(): TracedPackage[] {
    const sorted = [...this.#found].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([folder, { name, files, loadedBy }]) => ({
      name,
      folder,
      loadedBy,
      version: readPackage({ folder }).version ?? '',
      files: [...files].map((file) => file.slice(folder.length + 1)).sort(),
    }));
  }
}

/** Lists the files that packages need at run time, with those of the packages that they load. */
export async function tracePackages(uses: readonly Use[], whole: ReadonlySet<string>): Promise<TracedPackage[]> {
  const askers = writeAskers(uses);
  if (askers.size === 0) return [];
  const [first = ''] = askers.keys();
  const base = parse(first).root;
  const { reasons } = await nodeFileTrace([...askers.keys()], {
    base,
    processCwd: join(base, '.islet-nowhere'),
    readFile: async (file) => askers.get(file) ?? readFile(file).catch(() => null),
  });
  const packages = new Packages();
  for (const [name, { parents }] of reasons) {
    const file = join(base, name);
    const owner = packageOf(file);
    // The file that a link leads to is listed itself.
    if (!owner || realpathSync(file) !== file || !lstatSync(file).isFile()) continue;
    packages.add(file);
    for (const parent of parents) {
      const by = join(base, parent);
      packages.load(owner, askers.has(by) ? undefined : packageOf(by)?.folder);
    }
  }
  packages.addWhole(whole);
  packages.addSystemPackages();
  return packages.list();
}
