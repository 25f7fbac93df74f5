import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type StoredJob, storedJobs } from '../../lab/hostile/stored-job.ts';
import { writeStoredJob } from '../../lab/hostile/write-stored-job.ts';
import { attack } from '../support/attack.ts';
import { HostileWorker, longestWaitMs } from '../support/hostile-worker.ts';

let worker: HostileWorker;

const open = async () => {
  worker = await HostileWorker.open({ broker: 'redis', pool: 'async' });
};

beforeEach(open);

afterEach(() => worker.close());

const limitMs = 5_000;
const pollEveryMs = 20;

let lastNumber = 0;

/** Returns what is wrong with how a stored job ended, or nothing. */
async function tryStoredJob(stored: StoredJob): Promise<string | undefined> {
  // A job may be tried again.
  const job = { ...stored, id: `${stored.id}-${++lastNumber}` };
  const strayCount = worker.strays.length;
  if (!worker.redis) return 'The worker has no Redis';
  await writeStoredJob(worker.redis, (name) => worker.key(name), job);
  const until = performance.now() + limitMs;
  while (await isListed(job.id)) {
    if (performance.now() > until) return `The job is still listed as ${await isListed(job.id)}`;
    await sleep(pollEveryMs);
  }
  if ((await worker.redis.zscore(worker.key('failed'), job.id)) !== null) {
    const reason = await worker.redis.hget(worker.key(job.id), 'failedReason');
    if (!/^E_[A-Z_]+: /.test(reason ?? '')) return `The job failed as ${reason}`;
  }
  return worker.strays.slice(strayCount)[0];
}

/** Names the list of the queue in which a job waits, or runs. */
async function isListed(id: string): Promise<string | undefined> {
  const { redis } = worker;
  if (!redis) return undefined;
  const [wait, active, delayed, prioritized] = await Promise.all([
    redis.lpos(worker.key('wait'), id),
    redis.lpos(worker.key('active'), id),
    redis.zscore(worker.key('delayed'), id),
    redis.zscore(worker.key('prioritized'), id),
  ]);
  const found = Object.entries({ wait, active, delayed, prioritized }).find(([, place]) => place !== null);
  return found?.[0];
}

test('each job that Redis holds ends, whatever is wrong with it, delays no other one, and no stop', async () => {
  const waits = worker.watchGoodJobs();
  await attack({
    cases: 2_000,
    // A job of an unknown task waits a second.
    atOnce: 100,
    values: storedJobs(['good', 'anything', 'in-async'], '{}'),
    attempt: tryStoredJob,
    async recover() {
      await worker.close();
      await open();
    },
    doubts: {
      time: () => waits.tooLong(),
      async attempt(job) {
        const delayMs = await worker.delayBy(
          () => tryStoredJob(job),
          () => sleep(pollEveryMs),
        );
        return delayMs > longestWaitMs ? `A good job waited ${delayMs} ms for it` : undefined;
      },
    },
  });
  await waits.stop();
  expect(worker.strays).toEqual([]);
  expect(await worker.stop()).toBe(0);
}, 120_000);
