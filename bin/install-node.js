/** Brings other versions of Node, for what is tested and measured on them. */
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
  const folder = join(root, '.islet/nodes', version);
  const program = join(folder, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node');
  // npm writes this file as the last step, so an install that was cut off begins again.
  if (existsSync(join(folder, 'node_modules/.package-lock.json'))) return program;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const args = ['install', '--prefix', folder, '--no-package-lock', '--ignore-scripts', `${name}@${version}`];
  if (spawnSync('npm', args, { stdio: ['ignore', 2, 2], shell: windows }).status !== 0) {
    throw new Error(`npm could not install Node ${version}; what it said is above.`);
  }
  return program;
}
