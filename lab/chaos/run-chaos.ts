import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { measureBare } from './bare-run.ts';
import { crashesOf, gatherEvidence, recyclingOf, restartsOf } from './evidence.ts';
import { type Arena, type Incident, runLane } from './faults.ts';
import { feed } from './feed.ts';
import { graceMs } from './limits.ts';
import { marksOf, promises } from './marks.ts';
import type { ChaosOptions } from './options.ts';
import { RedisProcess } from './redis-process.ts';
import { prefix, untilSettled } from './redis-state.ts';
import type { Report } from './report.ts';
import { createSchedule, isSupervised } from './schedule.ts';
import { judge } from './verdict.ts';
import { isletWorker, supervisedWorkers } from './worker-process.ts';
import { WorkerProcesses } from './worker-processes.ts';
import { createWorkload, type PlannedJob } from './workload.ts';

export interface ChaosRun {
  readonly options: ChaosOptions;
  /** Ended by the caller on a signal, by the run itself when a part of it fails. */
  readonly halt: AbortController;
  notify(text: string): void;
}

interface Place {
  readonly folder: string;
  readonly ledger: string;
  readonly logs: string;
}

/** Runs the chaos once and takes away all that it started; its files stay when something is broken. */
export async function runChaos(run: ChaosRun): Promise<Report> {
  const place = makePlace(run.options.seed);
  const cleanups: (() => Promise<unknown>)[] = [];
  let sound = false;
  try {
    const report = await wreck(run, place, cleanups);
    sound = report.marks.every(({ holds }) => holds);
    return report;
  } finally {
    for (const cleanup of cleanups.reverse()) {
      // One that fails must not keep the others from running.
      await cleanup().catch((error: unknown) => run.notify(`Cleaning up: ${String(error)}`));
    }
    if (sound) rmSync(place.folder, { recursive: true, force: true });
    else run.notify(`The ledger and the logs of Redis and the workers are in ${place.folder}`);
  }
}

function makePlace(seed: number): Place {
  const folder = join(process.cwd(), '.islet', 'chaos', `seed-${seed}-${Date.now()}`);
  const place = { folder, ledger: join(folder, 'ledger'), logs: join(folder, 'workers') };
  for (const path of Object.values(place)) mkdirSync(path, { recursive: true, mode: 0o700 });
  return place;
}

async function wreck(run: ChaosRun, place: Place, cleanups: (() => Promise<unknown>)[]): Promise<Report> {
  const { options, halt, notify } = run;
  const jobs = createWorkload(options);
  const redis = await RedisProcess.create(join(place.folder, 'redis'));
  cleanups.push(() => redis.kill());
  await redis.start();
  const env = workerEnv(redis, place);
  const kindOf = (slot: number) => (isSupervised(slot, options.only) ? supervisedWorkers : isletWorker);
  const workers = new WorkerProcesses((slot) => ({ ...kindOf(slot), env, logFolder: place.logs }), halt);
  cleanups.push(() => workers.close());
  await workers.start(options.workers);
  notify(`${options.workers} workers are ready; ${jobs.length} jobs over ${options.durationMs / 1_000} s.`);

  const incidents: Incident[] = [];
  const arena = { workers, redis, incidents, halted: halt.signal, notify, startedAt: Date.now() };
  await attack({ ...arena, durationMs: options.durationMs }, run, jobs);
  notify('The faults are over; waiting for the rest of the jobs.');
  await untilSettled(redis, place.ledger, halt.signal);
  halt.signal.throwIfAborted();
  // Before the stop that ends the run, which is no fault.
  incidents.push(...crashesOf(workers, incidents, notify), ...restartsOf(workers), ...recyclingOf(workers));
  await workers.stop();

  const figures = judge(await gatherEvidence(jobs, arena, place));
  const bare = options.bare ? { bareCrashToRerunMs: await measureBare(redis, place, cleanups, run) } : {};
  const marks = [...promises(figures), ...marksOf(options.only, figures)];
  const { seed, durationMs, workers: count } = options;
  return { seed, seconds: durationMs / 1_000, workers: count, ...figures, ...bare, marks };
}

/** Feeds the jobs while both lanes of faults run; the first of them to fail halts the others. */
async function attack(arena: Arena, { options, halt }: ChaosRun, jobs: readonly PlannedJob[]): Promise<void> {
  const schedule = createSchedule(options);
  const { startedAt, halted, redis } = arena;
  const parts = [
    feed(jobs, { redisUrl: redis.url, prefix, startedAt, halted }),
    runLane(schedule.workers, arena),
    runLane(schedule.redis, arena),
  ];
  await Promise.all(parts.map((part) => part.catch((error: unknown) => halt.abort(error))));
  halted.throwIfAborted();
}

function workerEnv(redis: RedisProcess, place: Place): Record<string, string> {
  return {
    REDIS_URL: redis.url,
    REDIS_PREFIX: prefix,
    NODE_ENV: 'production',
    LOG_LEVEL: 'info',
    WORKER_GRACEFUL_TIMEOUT: `${graceMs / 1_000}s`,
    CHAOS_LEDGER: place.ledger,
  };
}
