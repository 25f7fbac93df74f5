import { resolve } from 'node:path';
import { Redis } from 'ioredis';
import type { Contender, Sender } from './contender.ts';
import { importFrom, install, pinned } from './install.ts';

/** The part of bee-queue that is used here. The package brings no types. */
export interface BeeQueue {
  createJob(data: object): { save(): Promise<unknown> };
  saveAll(jobs: readonly unknown[]): Promise<Map<unknown, Error>>;
  process(concurrency: number, handler: (job: { data: { name: string; url: string } }) => Promise<unknown>): void;
  ready(): Promise<unknown>;
  close(): Promise<unknown>;
}

export interface BeeQueueModule {
  default: new (name: string, settings: object) => BeeQueue;
}

const bulk = 1_000;

/** Prepares bee-queue 2, a smaller queue on Redis, without most of what BullMQ has. */
export async function beeQueueContender(): Promise<Contender> {
  const folder = await install('bee-queue', { 'bee-queue': pinned['bee-queue'] });
  return {
    key: 'bee-queue',
    name: 'bee-queue',
    store: 'redis',
    quick: false,
    versions: { 'bee-queue': pinned['bee-queue'] },
    launch: ({ url, concurrency }) => ({
      program: process.execPath,
      args: [resolve('dist/lab/bench/contenders/bee-queue-worker.js')],
      cwd: process.cwd(),
      env: { REDIS_URL: url, CONCURRENCY: String(concurrency), MODULES: folder },
    }),
    open: (url) => openSender(folder, url),
  };
}

async function openSender(folder: string, url: string): Promise<Sender> {
  const { default: Queue } = await importFrom<BeeQueueModule>(folder, 'bee-queue/index.js');
  const queue = new Queue('bench', { redis: { url }, isWorker: false, getEvents: false, storeJobs: false });
  const redis = new Redis(url);
  await queue.ready();
  return {
    one: (task, payload) => queue.createJob({ name: task, ...payload }).save(),
    async many(task, payloads) {
      for (let at = 0; at < payloads.length; at += bulk) {
        const jobs = payloads.slice(at, at + bulk).map((payload) => queue.createJob({ name: task, ...payload }));
        const [failed] = (await queue.saveAll(jobs)).values();
        if (failed) throw failed;
      }
    },
    async busy() {
      const [waiting, active] = await Promise.all([redis.llen('bq:bench:waiting'), redis.llen('bq:bench:active')]);
      return waiting + active > 0;
    },
    async close() {
      await queue.close();
      redis.disconnect();
    },
  };
}
