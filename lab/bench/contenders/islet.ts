import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { createProducer } from 'islet/producer';
import { type LaunchProfile, launchProfiles } from '../../../src/launch-profiles.ts';
import call from '../app/tasks/call/manifest.ts';
import noop from '../app/tasks/noop/manifest.ts';
import type { Contender, Sender, TaskName, WorkerSettings } from './contender.ts';
import { packageVersion } from './versions.ts';

const run = promisify(execFile);
const islet = resolve('bin/islet.js');
/** The benchmark's own app. */
export const benchApp = resolve('dist/lab/bench/app');
const prefix = 'islet';

/** Builds a queue's worker into a folder below .islet/, and returns the folder. */
export async function buildWorker(queue: string, root: string): Promise<string> {
  const out = resolve('.islet/bench/built', queue);
  await run(process.execPath, [islet, 'build', '--queue', queue, '--out', out], { cwd: root });
  return out;
}

/** Prepares Islet's worker: built and by each launch profile, and as `islet worker` starts it in the app's folder. */
export async function isletContenders(newestNode: string | undefined): Promise<Contender[]> {
  const built = await buildWorker('bench', benchApp);
  const builtProgram = resolve(built, 'worker.js');
  const make = (key: string, name: string, node: string, program: string[], profile: LaunchProfile, quick: boolean) =>
    contender({ key, name, node, program, profile, quick });
  const { lean, throughput, minimal } = launchProfiles;
  const own = process.execPath;
  const unbuilt = [islet, 'worker', '--queue', 'bench'];
  return [
    make('islet-lean', 'Islet, built, lean', own, [builtProgram], lean, true),
    make('islet-throughput', 'Islet, built, throughput', own, [builtProgram], throughput, true),
    make('islet-minimal', 'Islet, built, minimal', own, [builtProgram], minimal, false),
    make('islet-unbuilt-lean', 'Islet, not built, lean', own, unbuilt, lean, false),
    ...(newestNode === undefined
      ? []
      : [
          make('islet-lean-newest', 'Islet, built, lean, newest Node', newestNode, [builtProgram], lean, false),
          make(
            'islet-throughput-newest',
            'Islet, built, throughput, newest Node',
            newestNode,
            [builtProgram],
            throughput,
            false,
          ),
        ]),
  ];
}

interface Parts {
  key: string;
  name: string;
  node: string;
  program: string[];
  profile: LaunchProfile;
  quick: boolean;
}

function contender({ key, name, node, program, profile, quick }: Parts): Contender {
  return {
    key,
    name,
    quick,
    store: 'redis',
    versions: { islet: packageVersion('islet'), bullmq: packageVersion('bullmq') },
    launch: ({ url, concurrency }: WorkerSettings) => ({
      program: node,
      args: [...profile.flags, ...program, '--concurrency', String(concurrency)],
      cwd: benchApp,
      env: { ...profile.env, REDIS_URL: url, REDIS_PREFIX: prefix },
    }),
    open: openIsletSender,
  };
}

/** Opens a producer as an app has it. */
export async function openIsletSender(url: string): Promise<Sender> {
  const producer = createProducer({ redis: url, prefix, timeoutMs: 30_000 });
  const redis = new Redis(url);
  const manifests: Record<TaskName, typeof noop> = { noop, call: call as never };
  return {
    one: (task, payload) => producer.enqueue(manifests[task], payload as { n: number }),
    many: (task, payloads) =>
      producer.enqueueMany(
        manifests[task],
        payloads.map((payload) => ({ payload: payload as { n: number } })),
      ),
    busy: () => isBullBusy(redis, prefix),
    async close() {
      await producer.close();
      redis.disconnect();
    },
  };
}

/** Says whether any job waits or runs; the keys are the same for all that stands on BullMQ. */
export async function isBullBusy(redis: Redis, start: string): Promise<boolean> {
  const [waiting, active] = await Promise.all([
    redis.llen(`${start}:{bench}:wait`),
    redis.llen(`${start}:{bench}:active`),
  ]);
  return waiting + active > 0;
}
