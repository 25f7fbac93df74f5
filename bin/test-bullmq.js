/** Runs the tests of the broker on another BullMQ: on the version that is named, or on the newest 6.x. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const usage = 'Usage: npm run test:bullmq -- [version], such as 6.7.0';

try {
  process.exitCode = run(process.argv.slice(2));
} catch (error) {
  console.error(`Not tested: ${error.message}`);
  process.exitCode = 1;
}

/** @param {string[]} args */
function run([version = newest(), ...rest]) {
  if (!/^\d+\.\d+\.\d+$/.test(version) || rest.length > 0) throw new Error(usage);
  install(version);
  console.log(`The tests of the broker run on BullMQ ${version}`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const env = { ...process.env, ISLET_BULLMQ: version };
  const done = spawnSync(process.execPath, [vitest, 'run', 'test/broker'], { cwd: root, env, stdio: 'inherit' });
  return done.status ?? 1;
}

/** @param {string} version */
function install(version) {
  const folder = join(root, '.islet/bullmq', version);
  if (installedIn(folder) !== version) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const options = ['--no-package-lock', '--legacy-peer-deps', '--ignore-scripts'];
    npm(['install', '--prefix', folder, ...options, `bullmq@${version}`]);
  }
  // BullMQ and Islet hand clients to each other, so both have to use the ioredis of this repository.
  rmSync(join(folder, 'node_modules/ioredis'), { recursive: true, force: true });
}

/** @param {string} folder */
function installedIn(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'node_modules/bullmq/package.json'), 'utf8')).version;
  } catch {
    return undefined;
  }
}

function newest() {
  const versions = [JSON.parse(npm(['view', 'bullmq@6', 'version', '--json']))].flat();
  const [first] = versions.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  return first;
}

/** @param {string[]} args */
function npm(args) {
  // npm's messages go to stderr, and its answer is read.
  const done = spawnSync('npm', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 2],
    shell: process.platform === 'win32',
  });
  if (done.error !== undefined) throw new Error(`npm could not be started: ${done.error.message}`);
  if (done.status !== 0) throw new Error(`"npm ${args.join(' ')}" failed; what it said is above.`);
  return done.stdout;
}
