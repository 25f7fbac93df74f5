import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a file belongs to: the app, Islet, or a package. */
export type Owner = { kind: 'app' | 'islet' } | { kind: 'package'; name: string; folder: string };

/** The packages that Islet's worker itself, or the settings of every app, import; a test compares the list with them. */
export const isletPackages: readonly string[] = ['awilix', 'bullmq', 'commander', 'convict', 'ioredis', 'pino'];

/** The folder that holds Islet's own code. */
const isletCode = fileURLToPath(new URL('../..', import.meta.url));

const inNodeModules = /^(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/;

/** Finds the owner of a file outside of any node_modules, where packages stand that are linked, as in a workspace. */
function findLinked(root: string, folder: string): Owner {
  if (folder === root) return { kind: 'app' };
  const file = join(folder, 'package.json');
  const { name } = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }) : {};
  if (name !== undefined) return { kind: 'package', name, folder };
  return dirname(folder) === folder ? { kind: 'app' } : findLinked(root, dirname(folder));
}

/** Creates a function that says what a file belongs to, in one app. */
export function createOwners(root: string): (file: string) => Owner {
  const known = new Map<string, Owner>();
  return (file) => {
    if (file.startsWith(isletCode)) return { kind: 'islet' };
    const [, folder, name] = inNodeModules.exec(file) ?? [];
    if (folder !== undefined && name !== undefined) return { kind: 'package', name: name.replaceAll(sep, '/'), folder };
    const owner = known.get(dirname(file)) ?? findLinked(root, dirname(file));
    known.set(dirname(file), owner);
    return owner;
  };
}

/** Says whether a package is named in a list of names and patterns. */
export function isNamed(names: readonly string[], name: string): boolean {
  return names.some((each) => {
    const literally = each.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*');
    return new RegExp(`^${literally}$`).test(name);
  });
}
