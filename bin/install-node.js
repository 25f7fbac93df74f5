/** Brings other versions of Node and of the compiler, for what is tested and measured on them. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === 'win32';

/**
 * Installs a Node from the registry into .islet/nodes/, once, and returns its program.
 *
 * @param {string} version such as "26", for the newest of these, or "26.10.0"
 */
export function installNode(version) {
  const name = `node-${windows ? 'win' : process.platform}-${process.arch}`;
  return join(install(name, version, 'nodes'), 'bin', windows ? 'node.exe' : 'node');
}

/**
 * Installs a TypeScript into .islet/compilers/, once, and returns its compiler.
 *
 * @param {string} version such as "5.4"
 */
export function installCompiler(version) {
  return join(install('typescript', version, 'compilers'), 'bin/tsc');
}

/**
 * @param {string} name
 * @param {string} version
 * @param {string} kind
 */
function install(name, version, kind) {
  const folder = join(root, '.islet', kind, version);
  const installed = join(folder, 'node_modules', name);
  // npm writes this file as the last step, so an install that was cut off begins again.
  if (existsSync(join(folder, 'node_modules/.package-lock.json'))) return installed;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const args = ['install', '--prefix', folder, '--no-package-lock', '--ignore-scripts', `${name}@${version}`];
  if (spawnSync('npm', args, { stdio: ['ignore', 2, 2], shell: windows }).status !== 0) {
    throw new Error(`npm could not install ${name} ${version}; what it said is above.`);
  }
  return installed;
}
