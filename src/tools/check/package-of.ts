import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Whose file it is: the app's, Islet's, or a package's. */
export type Owner = { kind: 'app' | 'islet' } | { kind: 'package'; name: string; folder: string };

/** What Islet's worker imports itself, and the settings of every app. A test compares it with what is imported. */
export const isletPackages: readonly string[] = ['awilix', 'bullmq', 'commander', 'convict', 'ioredis', 'pino'];

/** The folder that holds Islet's own code. */
const isletCode = fileURLToPath(new URL('../..', import.meta.url));

const inNodeModules = /^(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/;

/** A package that is linked, as in a workspace, stands outside of any node_modules. */
function findLinked(root: string, folder: string): Owner {
  if (folder === root) return { kind: 'app' };
  const file = join(folder, 'package.json');
  const { name } = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }) : {};
  if (name !== undefined) return { kind: 'package', name, folder };
  return dirname(folder) === folder ? { kind: 'app' } : findLinked(root, dirname(folder));
}

/** Tells whose a file is, in an app. */
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

/** Whether a list of names and patterns has a package. */
export function isNamed(names: readonly string[], name: string): boolean {
  return names.some((each) => {
    const literally = each.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*');
    return new RegExp(`^${literally}$`).test(name);
  });
}
