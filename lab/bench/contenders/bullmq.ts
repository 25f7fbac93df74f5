import { resolve } from 'node:path';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { Contender, Sender } from './contender.ts';
import { isBullBusy } from './islet.ts';
import { packageVersion } from './versions.ts';

export const bullPrefix = 'bare';

interface Parts {
  key: string;
  name: string;
  node: string;
  quick: boolean;
  env?: Record<string, string>;
}

/** Makes BullMQ workers with the same handler and BullMQ's defaults, which show what Islet's own part costs or saves. */
export function bullmqContenders(newestNode: string | undefined): Contender[] {
  const node = process.execPath;
  const log = { LOG_JOBS: '1' };
  return [
    make({ key: 'bullmq', name: 'bare BullMQ', node, quick: true }),
    make({ key: 'bullmq-log', name: 'bare BullMQ, a log line per job', node, quick: true, env: log }),
    ...(newestNode === undefined
      ? []
      : [
          make({ key: 'bullmq-newest', name: 'bare BullMQ, newest Node', node: newestNode, quick: false }),
          make({
            key: 'bullmq-log-newest',
            name: 'bare BullMQ, a log line per job, newest Node',
            node: newestNode,
            quick: false,
            env: log,
          }),
        ]),
  ];
}

function make({ key, name, node, quick, env = {} }: Parts): Contender {
  return {
    key,
    name,
    quick,
    store: 'redis',
    versions: { bullmq: packageVersion('bullmq') },
    launch: ({ url, concurrency }) => ({
      program: node,
      args: [resolve('dist/lab/bench/contenders/bullmq-worker.js')],
      cwd: process.cwd(),
      env: { ...env, REDIS_URL: url, CONCURRENCY: String(concurrency) },
    }),
    open: openBullSender,
  };
}

export async function openBullSender(url: string): Promise<Sender> {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  const queue = new Queue('{bench}', { connection: redis, prefix: bullPrefix });
  return {
    one: (task, payload) => queue.add(task, payload),
    many: (task, payloads) => queue.addBulk(payloads.map((data) => ({ name: task, data }))),
    busy: () => isBullBusy(redis, bullPrefix),
    async close() {
      await queue.close();
      redis.disconnect();
    },
  };
}
