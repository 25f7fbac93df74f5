import { existsSync, statSync } from 'node:fs';
import { findPackages, type ImportGraph, isAppsDoing, showChain } from './import-graph.ts';

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

/** By package, the files that lead to it and how. */
function findSources(graph: ImportGraph, { islet, ofApp, show }: Loaded) {
  const sources = new Map<string, LoadedPackage['by']>();
  const add = (root: string, from: string, isWay: typeof isAppsDoing) => {
    for (const { name, chain } of findPackages(graph, [root], isWay)) {
      sources.set(name, [...(sources.get(name) ?? []), { from, chain: showChain(graph, chain, show) }]);
    }
  };
  add(islet, 'islet', () => true);
  const isletsOwn = new Set(sources.keys());
  // What Islet needs itself is nobody else's doing; what only the settings' library needs is not either.
  for (const root of ofApp) add(root, show(root), isAppsDoing);
  const isOwn = (name: string) => isletsOwn.has(name);
  return { sources, isOwn };
}

/** Lists the packages of a process by their size, the largest first. */
export function describePackages(graph: ImportGraph, loaded: Loaded): LoadedPackage[] {
  const { sources, isOwn } = findSources(graph, loaded);
  const settings = findPackages(graph, loaded.ofApp, ({ kind }) => kind !== 'islet');
  const ways = new Map(settings.map(({ name, chain }) => [name, showChain(graph, chain, loaded.show)]));
  return [...countFiles(graph, loaded.files)]
    .map(([name, size]): LoadedPackage => {
      const by = sources.get(name) ?? [];
      const islet = isOwn(name) || (by.length === 0 && ways.has(name)) || name === 'convict';
      const chain = ways.get(name);
      const ofIslet = by.filter(({ from }) => from === 'islet');
      const others = by.length === 0 && chain ? [{ from: chain[0] ?? '', chain }] : by;
      return { name, ...size, islet, by: ofIslet.length > 0 ? ofIslet : others };
    })
    .toSorted((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
}
