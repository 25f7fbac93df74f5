import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createProducer, type Producer } from 'islet/producer';
import { writeStoredJob } from '../hostile/write-stored-job.ts';
import blocking from './app/tasks/blocking/manifest.ts';
import failing from './app/tasks/failing/manifest.ts';
import fast from './app/tasks/fast/manifest.ts';
import hostileAsync from './app/tasks/hostile-async/manifest.ts';
import hostileProcess from './app/tasks/hostile-process/manifest.ts';
import hostileThread from './app/tasks/hostile-thread/manifest.ts';
import once from './app/tasks/once/manifest.ts';
import slow from './app/tasks/slow/manifest.ts';
import stray from './app/tasks/stray/manifest.ts';
import stubborn from './app/tasks/stubborn/manifest.ts';
import { key } from './redis-state.ts';
import type { PlannedJob, TaskName } from './workload.ts';

const manifests: Readonly<Record<Exclude<TaskName, 'foreign'>, unknown>> = {
  blocking,
  failing,
  fast,
  once,
  slow,
  stray,
  stubborn,
  'hostile-async': hostileAsync,
  'hostile-thread': hostileThread,
  'hostile-process': hostileProcess,
};

const batchEveryMs = 250;
const retryPauseMs = 250;
const timeoutMs = 2_000;
/** How long after its last time a job may still be refused before the run is given up. */
const patienceMs = 120_000;

/** The errors of a producer that Redis' illness explains; every other one is a mistake. */
const passing = new Set(['E_ENQUEUE_UNCERTAIN', 'E_REDIS_UNREACHABLE', 'E_REDIS_NOT_READY', 'E_REDIS_FULL']);

export interface FeedOptions {
  readonly redisUrl: string;
  readonly prefix: string;
  readonly startedAt: number;
  readonly halted: AbortSignal;
}

/** Enqueues each job at its time, and again with the same id for as long as Redis does not confirm it. */
export async function feed(jobs: readonly PlannedJob[], options: FeedOptions): Promise<void> {
  const producer = createProducer({ redis: options.redisUrl, prefix: options.prefix, timeoutMs });
  const deadline = options.startedAt + (jobs.at(-1)?.atMs ?? 0) + patienceMs;
  const redis = new Redis(options.redisUrl, { lazyConnect: true });
  let sent = 0;
  try {
    while (sent < jobs.length && !options.halted.aborted) {
      const due = jobs.findIndex(({ atMs }, at) => at >= sent && options.startedAt + atMs > Date.now());
      const batch = jobs.slice(sent, due === -1 ? undefined : due);
      await Promise.all(
        Object.keys(manifests).map((task) => send(producer, task as keyof typeof manifests, batch, deadline, options)),
      );
      for (const { id, stored } of batch) if (stored) await writeStoredJob(redis, key, { ...stored, id });
      sent += batch.length;
      await sleep(batchEveryMs);
    }
  } finally {
    await producer.close();
    redis.disconnect();
  }
}

async function send(
  producer: Producer,
  task: keyof typeof manifests,
  batch: readonly PlannedJob[],
  deadline: number,
  { halted }: FeedOptions,
): Promise<void> {
  const items = batch
    .filter((job) => job.task === task)
    .map(({ id, payload, hostile }) => ({ id, payload: hostile ?? payload }));
  while (items.length > 0 && !halted.aborted) {
    try {
      // Each task's schema picks its own fields out of the payload.
      await producer.enqueueMany(manifests[task] as typeof failing, items as { payload: PlannedJob['payload'] }[]);
      return;
    } catch (error) {
      if (!passing.has((error as { code?: string }).code ?? '') || Date.now() > deadline) throw error;
      await sleep(retryPauseMs);
    }
  }
}
