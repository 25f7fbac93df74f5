/** Makes a fresh clone ready to run: installs the dependencies and compiles, each only where that is needed. */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, staleFiles } from './fresh-build.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

try {
  install();
  compile();
} catch (error) {
  console.error(`Not ready: ${error.message}`);
  process.exitCode = 1;
}

function install() {
  const reason = whyInstall();
  if (reason === undefined) return;
  console.error(`Installing the dependencies (npm ci): ${reason}`);
  // npm's own output goes to stderr: stdout belongs to the command that follows.
  const done = spawnSync('npm', ['ci'], { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (done.error !== undefined) throw new Error(`npm could not be started: ${done.error.message}`);
  if (done.status !== 0) throw new Error('"npm ci" failed; what it said is above.');
}

/** npm writes `node_modules/.package-lock.json` as the last step of an install. */
function whyInstall() {
  const installed = modified('node_modules/.package-lock.json');
  if (installed === undefined) return 'node_modules is missing or incomplete';
  const wanted = modified('package-lock.json');
  return wanted !== undefined && wanted > installed ? 'package-lock.json is newer than node_modules' : undefined;
}

function compile() {
  const [reason] = staleFiles(root);
  if (reason === undefined) return;
  console.error(`Building: ${reason}`);
  build(root);
}

/** @param {string} name */
function modified(name) {
  return statSync(join(root, name), { throwIfNoEntry: false })?.mtimeMs;
}
