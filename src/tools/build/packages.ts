import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An installed package, by its real folder. */
export interface Package {
  readonly name: string;
  readonly folder: string;
}

/** The package that a file belongs to; undefined for a file of the app's own. */
export function packageOf(file: string): Package | undefined {
  const [, folder, name] = /^((?:.*[\\/])?node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/.exec(file) ?? [];
  return folder === undefined || name === undefined ? undefined : { name: name.replace('\\', '/'), folder };
}

interface PackageJson {
  version?: string;
  optionalDependencies?: Record<string, string>;
  os?: string[];
  cpu?: string[];
}

export function readPackage({ folder }: Pick<Package, 'folder'>): PackageJson {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

/** Packages that find a native file by the place of the module that asks: that one has to stay where it is. */
export const nativeLoaders = new Set([
  'bindings',
  'node-gyp-build',
  'node-gyp-build-optional-packages',
  'node-pre-gyp',
]);

/**
 * What Islet itself runs on. Each computes imports or looks beside its own files, but only for what a worker does not
 * use, or what is replaced here.
 */
const known = new Set(['awilix', 'bullmq', 'convict', 'ioredis', 'msgpackr', 'pino', 'thread-stream', 'yargs-parser']);

export function isKnown(name: string): boolean {
  return known.has(name);
}

/** A module that takes the place of a package's, when another of the given name asks for it. */
export interface Replacement {
  readonly importer: string;
  readonly wanted: RegExp;
  readonly code: string;
}

const unavailable = (what: string) => `throw new Error(${JSON.stringify(`${what} is not part of a built worker.`)})`;

/** Heavy parts that no worker of Islet's reaches, or not before they are needed. */
export const replacements: readonly Replacement[] = [
  // Cron patterns, with all of luxon: read when a first scheduler has one.
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
