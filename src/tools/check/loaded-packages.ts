import { existsSync, statSync } from 'node:fs';
import { findPackages, type ImportGraph, isAppsDoing, showChain } from './import-graph.ts';
import { isletPackages, type Owner } from './package-of.ts';

/** A package of which a process has loaded something. */
export interface LoadedPackage {
  name: string;
  /** How many of its files were loaded, and their size in bytes. */
  files: number;
  bytes: number;
  /** Islet's own: every worker has it. */
  islet: boolean;
  /** Who pulls it in: a file of the app's, or `islet`; and by which imports, the shortest way. */
  by: { from: string; chain: string[] }[];
}

interface Loaded {
  /** The file of Islet's own that a worker process imports. */
  islet: string;
  /** The files that a worker imports by their place. */
  ofApp: string[];
  /** All that were loaded. */
  files: string[];
  show: (file: string) => string;
}

function countFiles({ ownerOf }: ImportGraph, files: readonly string[]) {
  const sizes = new Map<string, { files: number; bytes: number }>();
  for (const file of files) {
    const owner = ownerOf(file);
    if (owner.kind !== 'package') continue;
    const { files: count, bytes } = sizes.get(owner.name) ?? { files: 0, bytes: 0 };
    const size = existsSync(file) ? statSync(file).size : 0;
    sizes.set(owner.name, { files: count + 1, bytes: bytes + size });
  }
  return sizes;
}

/** Lists the packages of a process by their size, the largest first, and who pulls them in. */
export function describePackages(graph: ImportGraph, { islet, ofApp, files, show }: Loaded): LoadedPackage[] {
  const sources = new Map<string, LoadedPackage['by']>();
  const roots = new Set(ofApp);
  const add = (file: string, from: string, goesOn: (owner: Owner) => boolean, isNew: (name: string) => boolean) => {
    // A task imports its manifest: what that brings is the manifest's doing.
    const goesOnFrom = (owner: Owner, each: string) => goesOn(owner) && !roots.has(each);
    for (const { name, chain } of findPackages(graph, [file], goesOnFrom).filter(({ name }) => isNew(name))) {
      sources.set(name, [...(sources.get(name) ?? []), { from, chain: showChain(graph, chain, show) }]);
    }
  };
  const every = () => true;
  add(islet, 'islet', every, every);
  const isletsOwn = new Set(sources.keys());
  // What Islet needs itself is nobody else's doing.
  const isOthers = (name: string) => !isletsOwn.has(name) && !isletPackages.includes(name);
  for (const file of ofApp) add(file, show(file), isAppsDoing, isOthers);
  const appsOwn = new Set(sources.keys());
  // What is left came with a package of Islet's that the app imports: with the library of the settings.
  for (const file of ofApp)
    add(
      file,
      show(file),
      ({ kind }) => kind !== 'islet',
      (name) => !appsOwn.has(name),
    );
  return [...countFiles(graph, files)]
    .map(([name, size]): LoadedPackage => {
      const islets = isletsOwn.has(name) || (sources.has(name) && !appsOwn.has(name));
      return { name, ...size, islet: islets, by: sources.get(name) ?? [] };
    })
    .toSorted((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
}
