import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { groupByJob } from './blame.ts';
import type { Incident } from './faults.ts';
import { parseRuns, readLedger } from './ledger.ts';
import type { RedisProcess } from './redis-process.ts';
import { prefix } from './redis-state.ts';
import { rerunsAfterKill, type Times, times } from './rerun.ts';
import { WorkerProcesses } from './worker-processes.ts';

const jobs = 25;
const jobMs = 2_000;
/** BullMQ's defaults: a lock of 30 s, and a check every 30 s. */
const rerunLimitMs = 90_000;
const pollEveryMs = 100;

/** Kills a bare BullMQ worker in the midst of its jobs, starts it again at once, and measures until they run again. */
export async function measureBare(
  redis: RedisProcess,
  { folder }: { folder: string },
  cleanups: (() => Promise<unknown>)[],
  { halt, notify }: { halt: AbortController; notify(text: string): void },
): Promise<Times> {
  notify('Measuring a bare BullMQ worker.');
  const ledger = join(folder, 'bare-ledger');
  mkdirSync(ledger);
  const env = { REDIS_URL: redis.url, REDIS_PREFIX: prefix, NODE_ENV: 'production', CHAOS_LEDGER: ledger };
  const args = [resolve('dist/lab/chaos/bare-worker.js')];
  const settings = { args, cwd: process.cwd(), env, logFolder: ledgerless(folder) };
  const workers = new WorkerProcesses(() => settings, halt);
  cleanups.push(() => workers.close());
  await workers.start(1);
  await enqueue(redis);
  const runs = () => parseRuns(readLedger(ledger));
  await until(() => runs().length === jobs, halt.signal);
  const from = Date.now();
  const kill: Incident = { kind: 'sigkill', from, to: from, pid: workers.signal(0, 'SIGKILL') };
  await until(() => runs().length === 2 * jobs, halt.signal);
  return times(rerunsAfterKill([kill], groupByJob(runs())).waits);
}

function ledgerless(folder: string): string {
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

async function until(done: () => boolean, halted: AbortSignal): Promise<void> {
  const deadline = Date.now() + rerunLimitMs;
  while (!done() && Date.now() < deadline) {
    halted.throwIfAborted();
    await sleep(pollEveryMs);
  }
}
