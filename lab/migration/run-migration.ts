import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { Cleanups } from '../kit/cleanups.ts';
import { RedisProcess } from '../kit/redis.ts';
import { until } from '../kit/wait.ts';
import { readNotes } from './ledger.ts';
import type { MigrationOptions } from './options.ts';
import { bullmq } from './place.ts';
import { type Phase, phases } from './plan.ts';
import { ProducerSlot, type Surroundings, WorkerSlot } from './processes.ts';
import { type Figures, type Held, judge } from './verdict.ts';

export interface MigrationRun {
  readonly options: MigrationOptions;
  readonly halted: AbortSignal;
  notify(text: string): void;
}

const settle = { everyMs: 200, limitMs: 60_000 };

/** Moves a queue from plain BullMQ to Islet and back while jobs come, and judges what became of the jobs. */
export async function runMigration(run: MigrationRun): Promise<Figures> {
  const folder = join(process.cwd(), '.islet', 'migration', `${Date.now()}`);
  const [ledger, logs] = [join(folder, 'ledger'), join(folder, 'logs')];
  for (const path of [ledger, logs]) mkdirSync(path, { recursive: true, mode: 0o700 });
  const cleanups = new Cleanups();
  let sound = false;
  try {
    const redis = await RedisProcess.create(join(folder, 'redis'));
    cleanups.add(() => redis.kill());
    await redis.start();
    const figures = await move(run, redis, { redisUrl: redis.url, ledger, logs }, cleanups);
    sound = isSound(figures);
    return figures;
  } finally {
    await cleanups.run(run.notify);
    if (sound) rmSync(folder, { recursive: true, force: true });
    else run.notify(`The ledger and the logs of Redis and all processes are in ${folder}`);
  }
}

export const isSound = ({ lost, doubled, stuck, otherwise }: Figures) =>
  lost.length + doubled.length + stuck.length + otherwise.length === 0;

async function move(
  run: MigrationRun,
  redis: RedisProcess,
  surroundings: Surroundings,
  cleanups: Cleanups,
): Promise<Figures> {
  const { options, halted, notify } = run;
  const began: { name: string; from: number }[] = [];
  let workers: WorkerSlot[] = [];
  cleanups.add(() => Promise.all(workers.map((worker) => worker.stop())));
  for (const [at, phase] of phases.entries()) {
    halted.throwIfAborted();
    const jobs = Math.ceil(options.jobs / phases.length / phase.producers.length);
    notify(`${at + 1}. ${phase.name}: producers ${phase.producers.join(', ')}; workers ${phase.workers.join(', ')}`);
    const before = workers;
    workers = await changeWorkers(before, phase, surroundings);
    began.push({ name: phase.name, from: Date.now() });
    const producers = phase.producers.map((library, index) => {
      const job = { name: `p${at + 1}${'ab'[index]}`, count: jobs, pauseMs: options.pauseMs };
      return new ProducerSlot(library, job, surroundings);
    });
    await Promise.all(producers.map((producer) => producer.start()));
    for (const each of [...producers, ...workers]) await each.replace();
    if (phase.killsRedis) {
      await redis.kill();
      await redis.start();
    }
    await Promise.all(producers.map((producer) => producer.done()));
  }
  notify('All jobs are sent; waiting for the rest of them.');
  const isEmpty = async () => (await readHeld(redis)).unfinished.size === 0;
  await until(isEmpty, { ...settle, halted });
  const held = await readHeld(redis);
  await Promise.all(workers.map((worker) => worker.stop()));
  return judge(readNotes(surroundings.ledger), held, began);
}

/** Starts the workers that are new in a phase, and then stops those that are not in it. */
async function changeWorkers(before: WorkerSlot[], { workers }: Phase, surroundings: Surroundings) {
  const left = [...before];
  const kept = workers.map((library) => {
    const at = left.findIndex((worker) => worker.library === library);
    return at === -1 ? new WorkerSlot(library, surroundings) : (left.splice(at, 1)[0] as WorkerSlot);
  });
  await Promise.all(kept.filter((worker) => !before.includes(worker)).map((worker) => worker.start()));
  await Promise.all(left.map((worker) => worker.stop()));
  return kept;
}

function readHeld(redis: RedisProcess): Promise<Held> {
  return redis.ask(async (client) => {
    const queue = new Queue(bullmq.name, { prefix: bullmq.prefix, connection: client, skipMetasUpdate: true });
    const key = (name: string) => queue.toKey(name);
    const lists = await Promise.all(['wait', 'active', 'paused'].map((name) => client.lrange(key(name), '0', '-1')));
    const sets = ['delayed', 'prioritized', 'waiting-children'].map((name) => client.zrange(key(name), '0', '-1'));
    const failed = await client.zrange(key('failed'), '0', '-1');
    return { failed: new Set(failed), unfinished: new Set([...lists, ...(await Promise.all(sets))].flat()) };
  });
}
