import { execFile } from 'node:child_process';
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { IsletError } from '../../errors.ts';
import { fetchRedisWithApt } from './fetch-redis.ts';

const run = promisify(execFile);

/** A redis-server that was tried out and runs. */
export interface RedisServer {
  binary: string;
  /** The whole environment that the server needs. */
  env: Record<string, string>;
  /** Where the server was found, for the notice. */
  origin: string;
  version: string;
}

/**
 * Finds a redis-server: on the given PATH, else one unpacked earlier under `.islet/redis-server`, else (on Debian and
 * Ubuntu) fetches and unpacks the distribution's own packages there, without root rights and without installing them.
 *
 * @throws IsletError E_DEV_REDIS_UNAVAILABLE, with what the package tool said.
 */
export async function findRedisServer(root: string, path?: string): Promise<RedisServer> {
  const installed = await onPath(path);
  if (installed !== undefined) return installed;
  const folder = join(resolve(root), '.islet', 'redis-server');
  const before = await unpacked(folder);
  if (before !== undefined) return before;
  const problem = await fetchRedisWithApt(resolve(root), folder, path);
  const fetched = problem === undefined ? await unpacked(folder) : undefined;
  if (fetched !== undefined) return fetched;
  throw new IsletError('E_DEV_REDIS_UNAVAILABLE', unavailableMessage(problem ?? `What was unpacked does not run.`));
}

async function onPath(path: string | undefined): Promise<RedisServer | undefined> {
  const folders = (path ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of folders) {
      const server = await tried(join(folder, name), {}, 'from PATH');
      if (server !== undefined) return server;
    }
  }
  return undefined;
}

async function unpacked(folder: string): Promise<RedisServer | undefined> {
  const libraries = join(folder, 'usr', 'lib');
  const triplets = entries(libraries).filter((name) => name.includes('-linux-'));
  const env = { LD_LIBRARY_PATH: triplets.map((name) => join(libraries, name)).join(delimiter) };
  return tried(join(folder, 'usr', 'bin', 'redis-server'), env, 'unpacked under .islet');
}

/** Runs the program once with `--version`: a file that exists may still miss a library. */
async function tried(binary: string, env: Record<string, string>, origin: string): Promise<RedisServer | undefined> {
  if (!isExecutable(binary)) return undefined;
  try {
    const { stdout } = await run(binary, ['--version'], { env, timeout: 10_000 });
    return { binary, env, origin, version: /v=(\S+)/.exec(stdout)?.[1] ?? 'of unknown version' };
  } catch {
    return undefined;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function unavailableMessage(problem: string): string {
  return [
    'No redis-server was found on PATH, and none could be fetched. Nothing was started.',
    problem,
    'Install redis-server or valkey-server with your package manager (apt, dnf, apk, brew),',
    'or set REDIS_URL to a Redis of your own and leave --dev-redis out.',
  ].join('\n');
}
