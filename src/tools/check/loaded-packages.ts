import { existsSync, statSync } from 'node:fs';
import { findPackages, type ImportGraph, isAppsDoing, showChain } from './import-graph.ts';
import { isletPackages, type Owner } from './package-of.ts';

/** A package of which a process has loaded something. */
export interface LoadedPackage {
  name: string;
  /** How many of the package's files were loaded, and their size in bytes. */
  files: number;
  bytes: number;
  /** Whether the package is Islet's own, so that every worker loads it. */
  islet: boolean;
  /** What pulls the package in, a file of the app or `islet`, and the shortest chain of imports. */
  by: { from: string; chain: string[] }[];
}

interface Loaded {
  /** Islet's own file that a worker process imports. */
  islet: string;
  /** The app's files that a worker finds and imports. */
  ofApp: string[];
  /** All files that were loaded. */
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

/** Lists the packages of a process by size, the largest first, and what pulls each of them in. */
export function describePackages(graph: ImportGraph, { islet, ofApp, files, show }: Loaded): LoadedPackage[] {
  const sources = new Map<string, LoadedPackage['by']>();
  const roots = new Set(ofApp);
  const add = (file: string, from: string, goesOn: (owner: Owner) => boolean, isNew: (name: string) => boolean) => {
    // What comes with a task's manifest is the manifest's doing, although the task imports it too.
    const goesOnFrom = (owner: Owner, each: string) => goesOn(owner) && !roots.has(each);
    for (const { name, chain } of findPackages(graph, [file], goesOnFrom).filter(({ name }) => isNew(name))) {
      sources.set(name, [...(sources.get(name) ?? []), { from, chain: showChain(graph, chain, show) }]);
    }
  };
  const every = () => true;
  add(islet, 'islet', every, every);
  const isletsOwn = new Set(sources.keys());
  // What Islet itself needs is not the app's doing.
  const isOthers = (name: string) => !isletsOwn.has(name) && !isletPackages.includes(name);
  for (const file of ofApp) add(file, show(file), isAppsDoing, isOthers);
  const appsOwn = new Set(sources.keys());
  // The remaining packages came with one of Islet's own that the app imports, such as the library for settings.
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
