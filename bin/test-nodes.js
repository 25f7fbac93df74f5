/** Runs the tests on other versions of Node than the one that runs this: on those that are named, or on 22, 24 and 26. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installNode } from './install-node.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const usage = 'Usage: npm run test:nodes -- [majors, such as 22,26] [paths of tests, such as test/process]';

try {
  process.exitCode = run(process.argv.slice(2));
} catch (error) {
  console.error(`Not tested: ${error.message}`);
  process.exitCode = 1;
}

/** @param {string[]} args */
function run([majors = '22,24,26', ...paths]) {
  if (!/^\d\d(,\d\d)*$/.test(majors) || paths.some((path) => !existsSync(join(root, path)))) throw new Error(usage);
  const failed = majors.split(',').filter((major) => !passes(major, paths));
  console.log(`Node ${majors}: ${failed.length === 0 ? 'all pass' : `the tests fail on ${failed.join(', ')}`}`);
  return failed.length === 0 ? 0 : 1;
}

/**
 * @param {string} major
 * @param {string[]} paths
 */
function passes(major, paths) {
  const program = installNode(major);
  const version = spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`The tests run on Node ${version}`);
  // The tests start "node" and "npm" by their names, and npm is a script that "node" runs.
  const env = { ...process.env, PATH: `${dirname(program)}${delimiter}${process.env.PATH}` };
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  return spawnSync(program, [vitest, 'run', ...paths], { cwd: root, env, stdio: 'inherit' }).status === 0;
}
