// A newcomer's path: from an empty folder to the first own job completed, timed command by command.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Step, walkPath } from './newcomer-path.ts';

const maxCommands = 5;
const maxMs = 90_000;

const { values } = parseArgs({
  options: {
    /** A packed Islet; without it, this checkout is packed. */
    package: { type: 'string' },
    /** Which npm cache the installs meet: `usual`, `empty`, or both after each other. */
    cache: { type: 'string', default: 'both' },
  },
});

const stepsWith = (tarball: string): Step[] => [
  { command: `npx --yes --package ../${tarball} islet init .`, prints: 'Made an app' },
  { command: `npm install ../${tarball}` },
  { command: 'npm run generate -- task send-invoice --queue mail', prints: 'tasks/send-invoice/task.ts' },
  { command: 'npm run worker -- --queue mail', until: 'Worker ready' },
  { command: `npm run enqueue -- send-invoice '{"id":"1"}' --wait`, prints: '"id": "1"' },
];

function npm(...args: string[]): string {
  return execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Puts the package where the path finds it: beside the empty folder. */
function providePackage(folder: string): string {
  if (values.package === undefined)
    return npm('pack', '--silent', '--pack-destination', folder).split('\n').at(-1) ?? '';
  const tarball = basename(values.package);
  copyFileSync(values.package, join(folder, tarball));
  return tarball;
}

/** The shell of somebody who has just come: no setting of this script's own run, and a cache of npm's. */
function environment(folder: string, cache: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle)_|NODE_|REDIS_)/.test(name));
  const place = join(folder, 'cache');
  mkdirSync(place);
  // Only the downloads: what npx installs into the cache would otherwise be there the next time.
  if (cache === 'usual') {
    const downloads = join(npm('config', 'get', 'cache'), '_cacache');
    mkdirSync(downloads, { recursive: true });
    symlinkSync(downloads, join(place, '_cacache'));
  }
  return { ...Object.fromEntries(own), npm_config_cache: place };
}

async function walk(cache: string): Promise<void> {
  const folder = mkdtempSync(join(os.tmpdir(), 'islet-newcomer-'));
  try {
    const tarball = providePackage(folder);
    const size = Math.round(statSync(join(folder, tarball)).size / 1_000);
    console.log(`From an empty folder, with ${tarball} (${size} kB) and the ${cache} npm cache:`);
    const cwd = join(folder, 'my-workers');
    mkdirSync(cwd);
    const env = environment(folder, cache);
    await walkPath(stepsWith(tarball), { cwd, env, maxCommands, maxMs, print: (line) => console.log(line) });
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

console.log(
  `Node ${process.version}, ${os.cpus().length} cores; at most ${maxCommands} commands and ${maxMs / 1_000} s`,
);
try {
  const caches = values.cache === 'both' ? ['usual', 'empty'] : [values.cache];
  if (!caches.every((cache) => ['usual', 'empty'].includes(cache))) {
    throw new Error(`--cache: expected usual, empty or both, got "${values.cache}".`);
  }
  for (const cache of caches) await walk(cache);
} catch (error) {
  console.error(`The newcomer is stuck: ${(error as Error).message}`);
  process.exitCode = 1;
}
