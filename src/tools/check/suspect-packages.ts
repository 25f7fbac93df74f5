import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isletPackages, isNamed, type Owner } from './package-of.ts';

interface PackageJson {
  dependencies?: object;
  optionalDependencies?: object;
  peerDependencies?: object;
  /** Some packages name here, and only here, what they use if it happens to be installed. */
  peerDependenciesMeta?: object;
}

function dependenciesOf(folder: string): string[] {
  const file = join(folder, 'package.json');
  const read = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as PackageJson) : {};
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = read;
  return [dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta].flatMap((all) =>
    Object.keys(all ?? {}),
  );
}

/** Returns these packages and all that they depend on, as far as those were loaded. */
function withDependencies(names: readonly string[], folders: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const all = new Set(names);
  for (const name of all) {
    for (const folder of folders.get(name) ?? []) for (const needed of dependenciesOf(folder)) all.add(needed);
  }
  return all;
}

/**
 * Says whether a process may have loaded a package that a list does not allow. It only reads what the app's files and the
 * packages say of themselves: to record each import makes a check slow, and is left for what looks suspicious.
 */
export function looksSuspicious(
  files: readonly string[],
  ownerOf: (file: string) => Owner,
  allowed: readonly string[],
): boolean {
  const folders = new Map<string, Set<string>>();
  const ofApp: string[] = [];
  for (const file of files) {
    const owner = ownerOf(file);
    if (owner.kind === 'app') ofApp.push(file);
    if (owner.kind !== 'package') continue;
    folders.set(owner.name, (folders.get(owner.name) ?? new Set()).add(owner.folder));
  }
  const loaded = [...folders.keys()];
  const isAllowed = (name: string) => isletPackages.includes(name) || isNamed(allowed, name);
  const known = withDependencies(loaded.filter(isAllowed), folders);
  if (loaded.some((name) => !known.has(name))) return true;
  const strangers = loaded.filter((name) => !isAllowed(name));
  const texts = ofApp.filter((file) => /\.[cm]?[jt]s$/.test(file)).map((file) => readFileSync(file, 'utf8'));
  const starts = strangers.flatMap((name) => [`'${name}'`, `'${name}/`, `"${name}"`, `"${name}/`]);
  return texts.some((text) => starts.some((start) => text.includes(start)));
}
