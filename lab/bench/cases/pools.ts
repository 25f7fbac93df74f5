import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createProducer, type Producer } from 'islet/producer';
import { launchProfiles } from '../../../src/launch-profiles.ts';
import { startEmptyRedis } from '../../kit/redis.ts';
import callBeside from '../app/tasks/call-beside/manifest.ts';
import compute from '../app/tasks/compute/manifest.ts';
import computeInThread from '../app/tasks/compute-in-thread/manifest.ts';
import type { Bench, Case, Sample } from '../case.ts';
import { benchApp, buildWorker } from '../contenders/islet.ts';
import { MeasuredWorker } from '../measured-worker.ts';
import { callMs, computeMs, type Sizes } from '../sizes.ts';
import { quantile } from '../stats.ts';

const queue = 'mixed';
/** The time between two jobs that wait. */
const everyMs = 40;
const resultMs = 120_000;
const keep = { keepResultMs: resultMs };

type Computing = typeof compute | typeof computeInThread;

/** Shows what jobs that compute do to jobs that wait, in one worker. */
export const pools: Case = {
  name: 'pools',
  title: 'Jobs that compute beside jobs that wait',
  base: 'alone',
  metrics: {
    median: { label: 'waiting jobs, median', unit: 'ms', better: 'less' },
    p99Ms: { label: 'waiting jobs, 99 %', unit: 'ms', better: 'less' },
    computedSeconds: { label: 'computing jobs, all', unit: 's', better: 'less' },
  },
  about: ({ mixedCalls, mixedComputations }) =>
    `${mixedCalls} jobs that call an API of ${callMs} ms, one each ${everyMs} ms, from the sending until the result is ` +
    `read; beside them ${mixedComputations} jobs that compute for ${computeMs} ms, in the same built worker, lean`,
  async entries(bench) {
    const folder = await buildWorker(queue, benchApp);
    const entry = (key: string, name: string, computing?: Computing) => ({
      key,
      name,
      run: () => measure(folder, bench, computing),
    });
    return [
      entry('alone', 'without jobs that compute'),
      entry('thread', "with them, pool: 'thread'", computeInThread),
      entry('async', "with them, pool: 'async'", compute),
    ];
  },
};

async function measure(folder: string, { api, sizes }: Bench, computing: Computing | undefined): Promise<Sample> {
  const redis = await startEmptyRedis();
  const { flags, env } = launchProfiles.lean;
  const args = [...flags, resolve(folder, 'worker.js')];
  const launchEnv = { ...env, REDIS_URL: redis.url };
  const worker = new MeasuredWorker({ program: process.execPath, args, cwd: folder, env: launchEnv });
  const producer = createProducer({ redis: redis.url, timeoutMs: 30_000 });
  try {
    await worker.ready;
    const url = `${api.origin}/${callMs}`;
    // The first calls find a cold worker, producer and connection.
    for (let n = 0; n < 5; n++) await call(producer, url);
    const computed = computing ? computeAll(producer, computing, sizes) : Promise.resolve(0);
    const took = await callAll(producer, url, sizes);
    const computedSeconds = await computed;
    const waits = { median: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
    return computing ? { ...waits, computedSeconds } : waits;
  } finally {
    await worker.stop();
    await producer.close();
    await redis.close();
    await api.take();
  }
}

/** Sends a job that waits, and returns the milliseconds from the sending to the result. */
async function call(producer: Producer, url: string): Promise<number> {
  const sentAt = performance.now();
  const handle = await producer.enqueue(callBeside, { url }, keep);
  await handle.result({ timeoutMs: resultMs });
  return performance.now() - sentAt;
}

async function callAll(producer: Producer, url: string, { mixedCalls }: Sizes): Promise<number[]> {
  const startedAt = performance.now();
  const sent: Promise<number>[] = [];
  for (let n = 0; n < mixedCalls; n++) {
    await sleep(Math.max(0, startedAt + n * everyMs - performance.now()));
    sent.push(call(producer, url));
  }
  return Promise.all(sent);
}

/** Sends all jobs that compute, and returns the seconds until they are done. */
async function computeAll(producer: Producer, computing: Computing, { mixedComputations }: Sizes): Promise<number> {
  const startedAt = performance.now();
  const jobs = Array.from({ length: mixedComputations }, async () => {
    const handle = await producer.enqueue(computing, { ms: computeMs }, keep);
    await handle.result({ timeoutMs: resultMs });
  });
  await Promise.all(jobs);
  return (performance.now() - startedAt) / 1_000;
}
