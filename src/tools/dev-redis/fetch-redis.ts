import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const WANTED = ['redis-server', 'redis-tools'];
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Fetches the distribution's redis-server and unpacks it into `folder`, in one step at the end. apt works on lists and
 * caches of its own under `.islet`, so it needs no root rights and changes nothing on the machine.
 *
 * @returns what went wrong, or undefined.
 */
export async function fetchRedisWithApt(root: string, folder: string, path?: string): Promise<string | undefined> {
  if (!['apt-get', 'apt-cache', 'dpkg', 'dpkg-query'].every((name) => isOnPath(name, path))) {
    return 'This system has no apt-get and dpkg, so there is no known way to fetch one.';
  }
  mkdirSync(join(root, '.islet'), { recursive: true, mode: 0o700 });
  const work = mkdtempSync(join(root, '.islet', 'redis-server-'));
  try {
    const packages = await download(work);
    const unpacked = join(work, 'unpacked');
    for (const file of packages) await run('dpkg', ['-x', file, unpacked]);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unpacked, folder);
    return undefined;
  } catch (error) {
    return `Fetching it with apt-get failed: ${whatItSaid(error)}`;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function download(work: string): Promise<string[]> {
  const options = aptOptions(work);
  await run('apt-get', [...options, 'update'], { maxBuffer: 1e8 });
  const missing: string[] = [];
  for (const name of await dependencies(options)) {
    if (!(await isInstalled(name))) missing.push(name);
  }
  const archives = join(work, 'archives');
  mkdirSync(archives);
  await run('apt-get', [...options, 'download', ...WANTED, ...missing], { cwd: archives, maxBuffer: 1e8 });
  return readdirSync(archives).map((file) => join(archives, file));
}

function aptOptions(work: string): string[] {
  const state = join(work, 'state');
  const cache = join(work, 'cache');
  mkdirSync(join(state, 'lists', 'partial'), { recursive: true });
  mkdirSync(join(cache, 'archives', 'partial'), { recursive: true });
  const settings = [
    `Dir::State=${state}`,
    `Dir::Cache=${cache}`,
    'Dir::State::status=/var/lib/dpkg/status',
    // When root runs apt, it would change to a user of its own that may not write here.
    'APT::Sandbox::User=root',
    // Otherwise an update that reached no server counts as done, and the download then fails with a worse message.
    'APT::Update::Error-Mode=any',
  ];
  return ['-q', ...settings.flatMap((setting) => ['-o', setting])];
}

/** Lists the packages that Redis depends on directly. What those need in turn is the C library and its like. */
async function dependencies(options: string[]): Promise<string[]> {
  // The output of apt-cache is translated, so it is asked for in English.
  const asked = ['LC_ALL=C', 'apt-cache', ...options, 'depends', '--important', ...WANTED];
  const { stdout } = await run('env', asked, { maxBuffer: 1e8 });
  const names = [...stdout.matchAll(/^\s*\|?(?:Pre)?Depends: ([^\s<>]+)/gm)].map((match) => match[1] ?? '');
  return [...new Set(names)].filter((name) => name !== '' && !WANTED.includes(name));
}

async function isInstalled(name: string): Promise<boolean> {
  try {
    const { stdout } = await run('dpkg-query', ['-W', '-f', '$' + '{Status}\n', name]);
    return stdout.includes('ok installed');
  } catch {
    return false;
  }
}

function isOnPath(name: string, path: string | undefined): boolean {
  return `${path ?? ''}${delimiter}${SYSTEM_PATH}`.split(delimiter).some((folder) => existsSync(join(folder, name)));
}

function whatItSaid(error: unknown): string {
  const { message, stderr } = error as { message?: string; stderr?: string };
  return stderr?.trim() || message || String(error);
}
