import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createProducer } from 'islet/producer';
import { launchProfiles } from '../../../src/launch-profiles.ts';
import scrapePage from '../../../tasks/scrape-page/manifest.ts';
import { startEmptyRedis } from '../../kit/redis.ts';
import { until } from '../../kit/wait.ts';
import type { Api } from '../api.ts';
import type { Bench, Case, Sample } from '../case.ts';
import { buildWorker } from '../contenders/islet.ts';
import { type Launch, MeasuredWorker } from '../measured-worker.ts';
import { callMs, type Sizes } from '../sizes.ts';

const inFlight = 100;
/** How many of the 100 processes are really started; they share the memory that processes share. */
const measuredSlots = 10;
const limitMs = 120_000;
const queue = 'api-scraper';

/**
 * Compares the worker of one queue with workers that import all libraries of the example app: exceljs, htmlparser2,
 * mathjs, pdfkit, sharp.
 */
export const islands: Case = {
  name: 'islands',
  title: 'Import the world, or one island',
  base: 'world',
  metrics: {
    inFlight: { label: 'in flight', unit: '', better: 'more' },
    peakRssMb: { label: 'peak RSS', unit: 'MB', better: 'less' },
    pssMb: { label: 'PSS under load', unit: 'MB', better: 'less' },
  },
  about: ({ islandJobs }) =>
    `scraping pages that take ${callMs} ms: BullMQ workers that import every task and library and run one job at a ` +
    `time, against a built api-scraper, lean, with ${inFlight} in flight and ${islandJobs} jobs; of 100 processes, ` +
    `${measuredSlots} are started and their sums taken ten times`,
  async entries(bench) {
    const folder = await buildWorker(queue, process.cwd());
    const { flags, env } = launchProfiles.lean;
    const island: Run = {
      processes: 1,
      inFlight,
      seconds: 0,
      launch: (url) => launch([...flags, resolve(folder, 'worker.js')], { ...env, REDIS_URL: url }),
      send: sendToIsland,
    };
    const world = (processes: number, slots: number, parent = ''): Run => ({
      processes,
      inFlight: slots,
      seconds: bench.sizes.quick ? 3 : 8,
      launch: (url) =>
        launch([resolve('dist/lab/bench/contenders/world-worker.js')], { REDIS_URL: url, WORLD_PARENT: parent }),
      send: sendToWorld,
    });
    const entries: [key: string, name: string, run: Run][] = [
      ['island', 'one island, 100 in flight', island],
      ['world', 'all imports, one at a time', world(1, 1)],
      ['world-parent', 'the same with its parent (sandbox)', world(1, 1, '1')],
      ['world-slots', '100 of them', world(measuredSlots, inFlight)],
    ];
    return entries.map(([key, name, run]) => ({ key, name, run: () => measure(run, bench) }));
  },
};

interface Run {
  processes: number;
  inFlight: number;
  /** How long the load is watched; 0 stands for until it is done. */
  seconds: number;
  launch(url: string): Launch;
  send(url: string, pages: string[]): Promise<void>;
}

const launch = (args: string[], env: Record<string, string>): Launch => ({
  program: process.execPath,
  args,
  cwd: resolve('.'),
  env: { SCRAPER_ALLOW_PRIVATE: 'true', FILES_FOLDER: resolve('.islet/bench/files'), ...env },
});

async function measure(run: Run, { api, sizes }: Bench): Promise<Sample> {
  const redis = await startEmptyRedis();
  const workers: MeasuredWorker[] = [];
  try {
    for (let started = 0; started < run.processes; started++) {
      const worker = new MeasuredWorker(run.launch(redis.url));
      workers.push(worker);
      await worker.ready;
    }
    await api.take();
    await run.send(redis.url, pagesOf(sizes, `${api.origin}/${callMs}`, run));
    await untilCalled(api);
    const pssMb = await watch(
      workers,
      run.seconds > 0 ? run.seconds : (sizes.islandJobs / inFlight) * (callMs / 1_000),
    );
    await api.take();
    const share = run.inFlight === inFlight && run.processes > 1 ? inFlight / run.processes : 1;
    const peaks = workers.map((worker) => worker.memory().peakRssMb);
    return {
      inFlight: run.inFlight,
      peakRssMb: share * peaks.reduce((sum, one) => sum + one, 0),
      pssMb: share * pssMb,
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await redis.close();
  }
}

/** Waits for the first call: a child that BullMQ starts for its first job imports everything before it. */
async function untilCalled(api: Api): Promise<void> {
  const isCalled = async () => (await api.take()).calls > 0;
  if (!(await until(isCalled, { everyMs: 50, limitMs }))) throw new Error('No page was scraped.');
}

function pagesOf({ islandJobs }: Sizes, url: string, { seconds, processes }: Run): string[] {
  const jobs = seconds > 0 ? Math.ceil((seconds * 1_000 * processes) / callMs) : islandJobs;
  return Array.from({ length: jobs }, () => url);
}

/** Looks again and again, and returns the most that was resident at once. */
async function watch(workers: readonly MeasuredWorker[], seconds: number): Promise<number> {
  const until = performance.now() + Math.min(seconds * 1_000, limitMs);
  let most = 0;
  while (performance.now() < until) {
    most = Math.max(
      most,
      workers.reduce((sum, worker) => sum + worker.memory().pssMb, 0),
    );
    await sleep(300);
  }
  return most;
}

async function sendToIsland(url: string, pages: string[]): Promise<void> {
  const producer = createProducer({ redis: url, timeoutMs: 30_000 });
  await producer.enqueueMany(
    scrapePage,
    pages.map((page) => ({ payload: { url: page } })),
  );
  await producer.close();
}

async function sendToWorld(url: string, pages: string[]): Promise<void> {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  const jobs = new Queue('world', { connection });
  await jobs.addBulk(pages.map((page) => ({ name: 'scrape-page', data: { url: page } })));
  await jobs.close();
  connection.disconnect();
}
