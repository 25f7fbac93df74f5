import { isletPackages, isNamed, type Owner } from './package-of.ts';
import type { Edge } from './watch-imports.ts';

/** Who imports whom, in one process. */
export interface ImportGraph {
  readonly imports: ReadonlyMap<string, readonly string[]>;
  readonly ownerOf: (file: string) => Owner;
}

/** A package that something leads to, by the shortest chain of files: the first of the package is the last. */
export interface Found {
  name: string;
  chain: string[];
}

export function createGraph(edges: readonly Edge[], ownerOf: (file: string) => Owner): ImportGraph {
  const imports = new Map<string, string[]>();
  // What is heard in what order is chance: which of two chains of one length is shown must not be.
  for (const [from, to] of edges.toSorted(compare)) {
    // Islet finds the app's files by their place; that is no doing of its own.
    if (ownerOf(from).kind === 'islet' && ownerOf(to).kind === 'app') continue;
    imports.set(from, [...(imports.get(from) ?? []), to]);
  }
  return { imports, ownerOf };
}

const compare = (a: Edge, b: Edge) => (a.join('\n') < b.join('\n') ? -1 : 1);

/** All files that these lead to, with who imported each first, the nearest first. `goesOn`: also what it imports. */
function walk({ imports }: ImportGraph, from: readonly string[], goesOn: (file: string) => boolean) {
  const importers = new Map<string, string | undefined>(from.map((file) => [file, undefined]));
  for (const file of importers.keys()) {
    if (importers.get(file) !== undefined && !goesOn(file)) continue;
    for (const next of imports.get(file) ?? []) if (!importers.has(next)) importers.set(next, file);
  }
  return importers;
}

function chainTo(importers: ReadonlyMap<string, string | undefined>, file: string): string[] {
  const importer = importers.get(file);
  return importer === undefined ? [file] : [...chainTo(importers, importer), file];
}

/** The packages that files lead to, by name. */
export function findPackages(
  graph: ImportGraph,
  from: readonly string[],
  goesOn: (owner: Owner, file: string) => boolean,
): Found[] {
  const importers = walk(graph, from, (file) => goesOn(graph.ownerOf(file), file));
  const found = new Map<string, Found>();
  for (const file of importers.keys()) {
    const owner = graph.ownerOf(file);
    if (owner.kind !== 'package' || found.has(owner.name)) continue;
    found.set(owner.name, { name: owner.name, chain: chainTo(importers, file) });
  }
  return [...found.values()];
}

/** Past what is Islet's own, nothing is the app's doing. */
export const isAppsDoing = (owner: Owner): boolean =>
  owner.kind === 'app' || (owner.kind === 'package' && !isletPackages.includes(owner.name));

/** The packages that the app itself imports, Islet's own aside. */
export function findDirect(graph: ImportGraph, from: readonly string[]): Found[] {
  const direct = findPackages(graph, from, ({ kind }) => kind === 'app');
  return direct.filter(({ name }) => !isletPackages.includes(name));
}

/** The packages that the app itself imports although a list does not name them, Islet's own aside. */
export function findUnnamed(graph: ImportGraph, from: readonly string[], names: readonly string[]): Found[] {
  return findDirect(graph, from).filter(({ name }) => !isNamed(names, name));
}

/** What a package brings along, itself aside. */
export function findBrought(graph: ImportGraph, { name, chain }: Found): string[] {
  const found = findPackages(graph, chain.slice(-1), isAppsDoing);
  return found.map((each) => each.name).filter((each) => each !== name && !isletPackages.includes(each));
}

/** A chain as people read it: the app's files, then packages, each once. */
export function showChain({ ownerOf }: ImportGraph, chain: readonly string[], show: (file: string) => string) {
  const names = chain.map((file) => {
    const owner = ownerOf(file);
    if (owner.kind === 'package') return owner.name;
    return owner.kind === 'islet' ? 'islet' : show(file);
  });
  return names.filter((name, index) => name !== names[index - 1]);
}
