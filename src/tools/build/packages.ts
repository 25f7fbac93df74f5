import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs';
import { join, parse } from 'node:path';

/** An installed package, by its real folder. */
export interface Package {
  readonly name: string;
  readonly folder: string;
}

/** Finds the package that a file belongs to; undefined for a file of the app. */
export function packageOf(file: string): Package | undefined {
  const [, folder, name] = /^((?:.*[\\/])?node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/.exec(file) ?? [];
  return folder === undefined || name === undefined ? undefined : { name: name.replace('\\', '/'), folder };
}

/** Returns the name of the package that a bare specifier names a module of. */
export function nameOf(specifier: string): string {
  return /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
}

interface PackageJson {
  version?: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, unknown>;
  os?: string[];
  cpu?: string[];
}

const manifestOf = (folder: string) => join(folder, 'package.json');

/** Tells whether a folder of `node_modules` is a package. What a tool generates there, as Prisma does, is none. */
export function isPackage(folder: string): boolean {
  return existsSync(manifestOf(folder));
}

/** Reads a package.json; it is empty for a folder that is no package. */
export function readPackage({ folder }: Pick<Package, 'folder'>): PackageJson {
  return isPackage(folder) ? JSON.parse(readFileSync(manifestOf(folder), 'utf8')) : {};
}

/** Lists the packages that a package may load, whether they are installed or not. */
export function listDeclared(folder: string): string[] {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = readPackage({ folder });
  const kinds = [dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta];
  return [...new Set(kinds.flatMap((kind) => Object.keys(kind ?? {})))].sort();
}

/** Finds a package as a module in the folder `from` would, wherever it leads; undefined when it is not installed. */
export function findInstalled(name: string, from: string): Package | undefined {
  for (let folder = from; ; folder = join(folder, '..')) {
    const candidate = join(folder, 'node_modules', name);
    if (lstatSync(manifestOf(candidate), { throwIfNoEntry: false })) return { name, folder: realpathSync(candidate) };
    if (folder === parse(folder).root) return undefined;
  }
}

/** Packages that find a native file by the place of the module that asks for it, which therefore has to stay there. */
export const nativeLoaders = new Set([
  'bindings',
  'node-gyp-build',
  'node-gyp-build-optional-packages',
  'node-pre-gyp',
]);

/**
 * The packages that Islet itself runs on. Each of them computes imports or looks beside its own files, but only for parts
 * that a worker does not use or that are replaced here.
 */
const known = new Set(['awilix', 'bullmq', 'convict', 'ioredis', 'msgpackr', 'pino', 'thread-stream', 'yargs-parser']);

export function isKnown(name: string): boolean {
  return known.has(name);
}

/** Code in place of a module that one package imports from another. */
interface Replacement {
  readonly importer: string;
  readonly wanted: RegExp;
  readonly code: string;
}

const unavailable = (what: string) => `throw new Error(${JSON.stringify(`${what} is not part of a built worker.`)})`;

/** Replaces heavy parts that no worker of Islet reaches, or that it should not load before it needs them. */
export const replacements: readonly Replacement[] = [
  // cron-parser brings all of luxon, and is loaded only when a scheduler first has a cron pattern.
  {
    importer: 'bullmq',
    wanted: /^cron-parser$/,
    code: `export const CronExpressionParser = { parse: (...args) => require('cron-parser').CronExpressionParser.parse(...args) };`,
  },
  {
    importer: 'awilix',
    wanted: /^fast-glob$/,
    code: `exports.sync = () => { ${unavailable("awilix's loadModules()")}; };`,
  },
  {
    importer: 'pino',
    wanted: /^thread-stream$/,
    code: `module.exports = class { constructor() { ${unavailable("pino's transport")}; } };`,
  },
];
