import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Queue } from 'bullmq';
import type { Cleanups } from '../kit/cleanups.ts';
import type { RedisProcess } from '../kit/redis.ts';
import { until } from '../kit/wait.ts';
import { groupByJob } from './blame.ts';
import type { Incident } from './faults.ts';
import { Fleet } from './fleet.ts';
import { parseRuns, readLedger } from './ledger.ts';
import { prefix } from './redis-state.ts';
import { rerunsAfterKill, type Times, times } from './rerun.ts';

const jobs = 25;
const jobMs = 2_000;
/** BullMQ's defaults are a lock of 30 s and a check every 30 s. */
const rerunLimitMs = 90_000;
const pollEveryMs = 100;

/** Kills a bare BullMQ worker in the midst of its jobs, starts it again at once, and measures until they run again. */
export async function measureBare(
  redis: RedisProcess,
  { folder }: { folder: string },
  cleanups: Cleanups,
  { halt, notify }: { halt: AbortController; notify(text: string): void },
): Promise<Times> {
  notify('Measuring a bare BullMQ worker.');
  const ledger = join(folder, 'bare-ledger');
  mkdirSync(ledger);
  const env = { REDIS_URL: redis.url, REDIS_PREFIX: prefix, NODE_ENV: 'production', CHAOS_LEDGER: ledger };
  const args = [resolve('dist/lab/chaos/bare-worker.js')];
  const settings = { args, cwd: process.cwd(), env, logFolder: makeLogFolder(folder) };
  const fleet = new Fleet(() => settings, halt);
  cleanups.add(() => fleet.close());
  await fleet.start(1);
  await enqueue(redis);
  const runs = () => parseRuns(readLedger(ledger));
  const patience = { everyMs: pollEveryMs, limitMs: rerunLimitMs, halted: halt.signal };
  await until(() => runs().length === jobs, patience);
  const from = Date.now();
  const kill: Incident = { kind: 'sigkill', from, to: from, pid: fleet.signal(0, 'SIGKILL') };
  await until(() => runs().length === 2 * jobs, patience);
  return times(rerunsAfterKill([kill], groupByJob(runs())).waits);
}

function makeLogFolder(folder: string): string {
  const logs = join(folder, 'bare-worker');
  mkdirSync(logs);
  return logs;
}

async function enqueue(redis: RedisProcess): Promise<void> {
  const queue = new Queue('{bare}', { connection: { url: redis.url } as never, prefix });
  await queue.addBulk(
    Array.from({ length: jobs }, (_, at) => ({ name: 'slow', data: { ms: jobMs }, opts: { jobId: `bare-${at}` } })),
  );
  await queue.close();
}
