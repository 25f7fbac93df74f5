#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  build,
  findCompiler,
  isKnownFresh,
  isUnrecorded,
  proveFresh,
  runsFromSources,
  staleFiles,
  unknownNames,
} from './fresh-build.js';

/** Commands that write or remove sources, make a new app, only explain, or compile by themselves. */
const WITHOUT_BUILD = ['generate', 'destroy', 'init', 'dev', 'compile', 'build', 'help', undefined];
const EXPLAINING = ['--help', '-h', '--version', '-V'];

const args = process.argv.slice(2);
const [called] = args.filter((argument) => argument !== '--verbose');
const islet = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const own = fileURLToPath(new URL('..', import.meta.url));

if (called === '--version' || called === '-V') {
  console.log(islet.version);
} else if (isBuilt() && (needsNoBuild() || prepare(process.cwd()))) {
  const { main } = await import('../dist/src/cli/main.js');
  const builder = join(own, 'bin/watch-build.js');
  const program = fileURLToPath(import.meta.url);
  const compile = (/** @type {{ all?: boolean }} */ { all = false } = {}) => compileStale(process.cwd(), all);
  await main(args, { path: process.env.PATH, env: process.env, islet, program, builder, compile });
}

/** Tells whether the code of the commands is there, and compiles it in a fresh clone. */
function isBuilt() {
  return existsSync(join(own, 'dist/src/cli/main.js')) || prepare(own);
}

function needsNoBuild() {
  // The parent of a supervised worker has built what was stale.
  if (WITHOUT_BUILD.includes(called) || args.includes('--supervised')) return true;
  return EXPLAINING.includes(called) || EXPLAINING.includes(args.at(-1));
}

/**
 * Makes sure that what runs is what the sources say; returns false when that is not possible.
 *
 * @param {string} root the folder of the package
 */
function prepare(root) {
  // In production a build would hide that the wrong code was shipped, and the compiler is usually not there.
  const isDevelopment = process.env.NODE_ENV === undefined || process.env.NODE_ENV === 'development';
  const stale = staleFiles(root);
  if (stale.length === 0 && isDevelopment && isUnrecorded(root)) {
    stale.push('dist/ does not tell what it was compiled from');
  }
  if (stale.length === 0) return checkNames(root);
  if (findCompiler(root) === undefined && !existsSync(join(root, 'node_modules'))) {
    return refuse('The dependencies are not installed. Nothing was started. Run "npm ci" first.');
  }
  if (!isDevelopment && proveFresh(root)) return true;
  if (!isDevelopment) return refuse(`E_BUILD_STALE: ${describeStale(root, stale)}`);
  console.error(`Rebuilding: ${stale[0]}`);
  const problem = compileStale(root, true);
  return problem === undefined || refuse(`${problem}\nNothing was started.`);
}

/**
 * Refuses sources that run as they are and import by names which only the compiler knows.
 *
 * @param {string} root
 */
function checkNames(root) {
  const unknown = runsFromSources(root) ? unknownNames(root) : [];
  return unknown.length === 0 || refuse(`${unknown.join('\n')}\nNothing was started.`);
}

/**
 * @param {string} root
 * @param {string[]} stale
 */
function describeStale(root, stale) {
  if (!existsSync(join(root, 'dist'))) {
    const why = `Node ${process.version} cannot run TypeScript; Node 22.18 and newer can`;
    return `There is no dist/, and ${why}. Nothing was started. Run "npm run build" first.`;
  }
  const what = `The code in dist/ was not compiled from the present sources: ${stale.slice(0, 3).join(', ')}.`;
  // The compiler alone leaves the output of a removed source where it is.
  return `${what} Nothing was started. Remove dist/ and run "npm run build" first.`;
}

/**
 * Compiles the package where it is stale; returns the compiler's output when that fails.
 *
 * @param {string} root
 * @param {boolean} all whether to compile also what seems fresh but is not known to be, and what could run as it is
 */
function compileStale(root, all) {
  if (!all && runsFromSources(root)) return unknownNames(root).join('\n') || undefined;
  if (all ? isKnownFresh(root) : staleFiles(root).length === 0 && !isUnrecorded(root)) return undefined;
  try {
    build(root);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** @param {string} message */
function refuse(message) {
  console.error(message);
  process.exitCode = 1;
  return false;
}
