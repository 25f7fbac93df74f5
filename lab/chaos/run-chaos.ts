import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Cleanups } from '../kit/cleanups.ts';
import { RedisProcess } from '../kit/redis.ts';
import { measureBare } from './bare-run.ts';
import { crashesOf, gatherEvidence, recyclingOf, restartsOf } from './evidence.ts';
import { type Arena, type Incident, runLane } from './faults.ts';
import { feed } from './feed.ts';
import { Fleet } from './fleet.ts';
import { graceMs } from './limits.ts';
import { marksOf, promises } from './marks.ts';
import type { ChaosOptions } from './options.ts';
import { prefix, untilSettled } from './redis-state.ts';
import type { Report } from './report.ts';
import { createSchedule, isSupervised } from './schedule.ts';
import { isletWorker, supervisedWorkers } from './target.ts';
import { judge } from './verdict.ts';
import { createWorkload, type PlannedJob } from './workload.ts';

export interface ChaosRun {
  readonly options: ChaosOptions;
  /** Ends the run: the caller aborts it on a signal, the run itself when a part of it fails. */
  readonly halt: AbortController;
  notify(text: string): void;
}

interface RunFolders {
  readonly folder: string;
  readonly ledger: string;
  readonly logs: string;
}

/** Runs the chaos once and takes away all that it started; its files stay when something is broken. */
export async function runChaos(run: ChaosRun): Promise<Report> {
  const folders = makeFolders(run.options.seed);
  const cleanups = new Cleanups();
  let sound = false;
  try {
    const report = await wreck(run, folders, cleanups);
    sound = report.marks.every(({ holds }) => holds);
    return report;
  } finally {
    await cleanups.run(run.notify);
    if (sound) rmSync(folders.folder, { recursive: true, force: true });
    else run.notify(`The ledger and the logs of Redis and the workers are in ${folders.folder}`);
  }
}

function makeFolders(seed: number): RunFolders {
  const folder = join(process.cwd(), '.islet', 'chaos', `seed-${seed}-${Date.now()}`);
  const folders = { folder, ledger: join(folder, 'ledger'), logs: join(folder, 'workers') };
  for (const path of Object.values(folders)) mkdirSync(path, { recursive: true, mode: 0o700 });
  return folders;
}

async function wreck(run: ChaosRun, folders: RunFolders, cleanups: Cleanups): Promise<Report> {
  const { options, halt, notify } = run;
  const jobs = createWorkload(options);
  const redis = await RedisProcess.create(join(folders.folder, 'redis'));
  cleanups.add(() => redis.kill());
  await redis.start();
  const env = workerEnv(redis, folders);
  const kindOf = (slot: number) => (isSupervised(slot, options.only) ? supervisedWorkers : isletWorker);
  const fleet = new Fleet((slot) => ({ ...kindOf(slot), env, logFolder: folders.logs }), halt);
  cleanups.add(() => fleet.close());
  await fleet.start(options.workers);
  notify(`${options.workers} workers are ready; ${jobs.length} jobs over ${options.durationMs / 1_000} s.`);

  const incidents: Incident[] = [];
  const arena = { fleet, redis, incidents, halted: halt.signal, notify, startedAt: Date.now() };
  await attack({ ...arena, durationMs: options.durationMs }, run, jobs);
  notify('The faults are over; waiting for the rest of the jobs.');
  await untilSettled(redis, folders.ledger, halt.signal);
  halt.signal.throwIfAborted();
  // This comes before the stop that ends the run, which is no fault.
  incidents.push(...crashesOf(fleet, incidents, notify), ...restartsOf(fleet), ...recyclingOf(fleet));
  await fleet.stop();

  const figures = judge(await gatherEvidence(jobs, arena, folders));
  const bare = options.bare ? { bareCrashToRerunMs: await measureBare(redis, folders, cleanups, run) } : {};
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

function workerEnv(redis: RedisProcess, folders: RunFolders): Record<string, string> {
  return {
    REDIS_URL: redis.url,
    REDIS_PREFIX: prefix,
    NODE_ENV: 'production',
    LOG_LEVEL: 'info',
    WORKER_GRACEFUL_TIMEOUT: `${graceMs / 1_000}s`,
    // A foreign job may name a task that nobody has.
    WORKER_UNKNOWN_TASK_DEADLINE: '2s',
    CHAOS_LEDGER: folders.ledger,
  };
}
