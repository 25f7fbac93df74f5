// A newcomer's path: from an empty folder to the first own job completed, timed command by command.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import { basename, join } from 'node:path';
import { messageOf, runProgram } from '../kit/main.ts';
import { oneOf, parseFlags } from '../kit/options.ts';
import { makeTempFolder, removeTempFolder } from '../kit/temp-folder.ts';
import { type Step, walkPath } from './newcomer-path.ts';

const maxCommands = 5;
const maxMs = 90_000;

const stepsWith = (tarball: string): Step[] => [
  { command: `npx --yes --package ../${tarball} islet init .`, prints: 'Made an app' },
  { command: `npm install ../${tarball}` },
  { command: 'npm run generate -- task send-invoice --queue mail', prints: 'tasks/send-invoice/task.ts' },
  { command: 'npm run worker -- --queue mail', until: 'Worker ready' },
  { command: `npm run enqueue -- send-invoice '{"id":"1"}' --wait`, prints: '"id": "1"' },
];

interface NewcomerOptions {
  /** A packed Islet; without it, this checkout is packed. */
  readonly tarball: string | undefined;
  /** The npm caches that the installs meet, one walk for each. */
  readonly caches: readonly string[];
}

function parseOptions(args: readonly string[]): NewcomerOptions {
  const flags = parseFlags(args, { package: { type: 'string' }, cache: { type: 'string', default: 'both' } });
  const cache = oneOf('--cache', flags.cache, ['usual', 'empty', 'both']);
  return { tarball: flags.package, caches: cache === 'both' ? ['usual', 'empty'] : [cache] };
}

function npm(...args: string[]): string {
  return execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Puts the package where the path finds it: beside the empty folder. */
function providePackage(folder: string, packed: string | undefined): string {
  if (packed === undefined) return npm('pack', '--silent', '--pack-destination', folder).split('\n').at(-1) ?? '';
  const tarball = basename(packed);
  copyFileSync(packed, join(folder, tarball));
  return tarball;
}

/** Makes the shell of somebody who has just come: no setting of this script's own run, and a cache of npm's. */
function environment(folder: string, cache: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle)_|NODE_|REDIS_)/.test(name));
  const place = join(folder, 'cache');
  mkdirSync(place);
  // Only the downloads are shared: what npx installs into the cache would otherwise be there the next time.
  if (cache === 'usual') {
    const downloads = join(npm('config', 'get', 'cache'), '_cacache');
    mkdirSync(downloads, { recursive: true });
    symlinkSync(downloads, join(place, '_cacache'));
  }
  return { ...Object.fromEntries(own), npm_config_cache: place };
}

async function walk(cache: string, packed: string | undefined, halted: AbortSignal): Promise<void> {
  const folder = makeTempFolder('newcomer');
  try {
    const tarball = providePackage(folder, packed);
    const size = Math.round(statSync(join(folder, tarball)).size / 1_000);
    console.log(`From an empty folder, with ${tarball} (${size} kB) and the ${cache} npm cache:`);
    const cwd = join(folder, 'my-workers');
    mkdirSync(cwd);
    const print = (line: string) => console.log(line);
    await walkPath(stepsWith(tarball), { cwd, env: environment(folder, cache), maxCommands, maxMs, print, halted });
  } finally {
    removeTempFolder(folder);
  }
}

process.exitCode = await runProgram(async (args, { signal }) => {
  const { tarball, caches } = parseOptions(args);
  const limits = `at most ${maxCommands} commands and ${maxMs / 1_000} s`;
  console.log(`Node ${process.version}, ${os.cpus().length} cores; ${limits}`);
  try {
    for (const cache of caches) await walk(cache, tarball, signal);
    return 0;
  } catch (error) {
    throw new Error(`The newcomer is stuck: ${messageOf(error)}`);
  }
});
