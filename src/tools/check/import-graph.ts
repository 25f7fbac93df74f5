import { isletPackages, isNamed, type Owner } from './package-of.ts';
import type { Edge } from './watch-imports.ts';

/** Which file imports which, in one process. */
export interface ImportGraph {
  readonly imports: ReadonlyMap<string, readonly string[]>;
  readonly ownerOf: (file: string) => Owner;
}

/** A package that files lead to, by the shortest chain of imports, which ends at the first file of the package. */
export interface Found {
  name: string;
  chain: string[];
}

export function createGraph(edges: readonly Edge[], ownerOf: (file: string) => Owner): ImportGraph {
  const imports = new Map<string, string[]>();
  // Imports are recorded in a random order. Sorted, they always show the same one of two chains of equal length.
  for (const [from, to] of edges.toSorted(compare)) {
    // Islet imports the app's files because it finds them. What they bring is the app's doing.
    if (ownerOf(from).kind === 'islet' && ownerOf(to).kind === 'app') continue;
    imports.set(from, [...(imports.get(from) ?? []), to]);
  }
  return { imports, ownerOf };
}

const compare = (a: Edge, b: Edge) => (a.join('\n') < b.join('\n') ? -1 : 1);

/**
 * Finds all files that these lead to, the nearest first, each with the file that imports it first. Only what a file
 * imports for which `goesOn` is true is followed further.
 */
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

/** Finds the packages that files lead to. */
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

/** Says whether what a file imports is the app's doing, which it no longer is behind Islet's own files and packages. */
export const isAppsDoing = (owner: Owner): boolean =>
  owner.kind === 'app' || (owner.kind === 'package' && !isletPackages.includes(owner.name));

/** Finds the packages that the app itself imports, without Islet's own. */
export function findDirect(graph: ImportGraph, from: readonly string[]): Found[] {
  const direct = findPackages(graph, from, ({ kind }) => kind === 'app');
  return direct.filter(({ name }) => !isletPackages.includes(name));
}

/** Finds the packages that the app itself imports although a list does not name them, without Islet's own. */
export function findUnnamed(graph: ImportGraph, from: readonly string[], names: readonly string[]): Found[] {
  return findDirect(graph, from).filter(({ name }) => !isNamed(names, name));
}

/** Finds the packages that a package brings along. */
export function findBrought(graph: ImportGraph, { name, chain }: Found): string[] {
  const found = findPackages(graph, chain.slice(-1), isAppsDoing);
  return found.map((each) => each.name).filter((each) => each !== name && !isletPackages.includes(each));
}

/** Shows a chain as people read it: the app's files, then the packages, each once. */
export function showChain({ ownerOf }: ImportGraph, chain: readonly string[], show: (file: string) => string) {
  const names = chain.map((file) => {
    const owner = ownerOf(file);
    if (owner.kind === 'package') return owner.name;
    return owner.kind === 'islet' ? 'islet' : show(file);
  });
  return names.filter((name, index) => name !== names[index - 1]);
}
