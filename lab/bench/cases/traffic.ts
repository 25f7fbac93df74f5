import { setTimeout as sleep } from 'node:timers/promises';
import { startEmptyRedis } from '../../kit/redis.ts';
import { type Case, entriesOf, type Sample } from '../case.ts';
import type { Contender } from '../contenders/contender.ts';
import { MeasuredWorker } from '../measured-worker.ts';
import { openRedisProxy, type Traffic } from '../redis-proxy.ts';
import { untilIdle } from '../run-worker.ts';
import type { Sizes } from '../sizes.ts';

const metrics = {
  commands: { label: 'commands', unit: '', better: 'less' },
  bytesIn: { label: 'to Redis', unit: 'B', better: 'less' },
  bytesOut: { label: 'from Redis', unit: 'B', better: 'less' },
} as const;

/** Log lines and launch profiles change nothing of the traffic, so few contenders stand for all. */
const compared = ['islet-lean', 'bullmq', 'bee-queue', 'celery-gevent', 'celery-prefork'];
const isCompared = ({ key }: Contender) => compared.includes(key);
const settleMs = 3_000;
const minuteMs = 60_000;

/** Shows what a worker sends to Redis while there is nothing to do. */
export const idleTraffic: Case = {
  name: 'idle-traffic',
  title: 'Redis traffic of an idle worker, per minute',
  base: 'bullmq',
  together: true,
  metrics,
  about: ({ idleTrafficMs }) => `counted on the wire for ${idleTrafficMs / 1_000} s after the start, per minute`,
  entries: ({ contenders, sizes }) =>
    entriesOf(contenders.filter(isCompared), (contender) => measureIdle(contender, sizes)),
};

/** Shows what a job costs on the wire when there are many. */
export const jobTraffic: Case = {
  name: 'job-traffic',
  title: 'Redis traffic of a worker, per job of a backlog',
  base: 'bullmq',
  metrics,
  about: ({ trafficJobs }) => `counted on the wire over a backlog of ${trafficJobs} no-op jobs, 100 in flight`,
  entries: ({ contenders, sizes }) =>
    entriesOf(
      contenders.filter((one) => isCompared(one) && !one.idleOnly),
      (contender) => measureJobs(contender, sizes),
    ),
};

function measureIdle(contender: Contender, { idleTrafficMs }: Sizes): Promise<Sample> {
  return withProxy(contender, async ({ traffic }) => {
    await sleep(settleMs);
    const before = traffic();
    await sleep(idleTrafficMs);
    return share(before, traffic(), idleTrafficMs / minuteMs);
  });
}

function measureJobs(contender: Contender, { trafficJobs }: Sizes): Promise<Sample> {
  return withProxy(contender, async ({ traffic, url, worker }) => {
    const sender = await contender.open(url);
    try {
      worker.freeze();
      const before = traffic();
      await sender.many(
        'noop',
        Array.from({ length: trafficJobs }, (_, n) => ({ n })),
      );
      worker.thaw();
      await untilIdle(contender, sender);
      return share(before, traffic(), trafficJobs);
    } finally {
      await sender.close();
    }
  });
}

function share(before: Traffic, after: Traffic, parts: number): Sample {
  return {
    commands: (after.commands - before.commands) / parts,
    bytesIn: (after.bytesIn - before.bytesIn) / parts,
    bytesOut: (after.bytesOut - before.bytesOut) / parts,
  };
}

interface Watched {
  url: string;
  traffic(): Traffic;
  worker: MeasuredWorker;
}

async function withProxy(contender: Contender, work: (watched: Watched) => Promise<Sample>): Promise<Sample> {
  const redis = await startEmptyRedis();
  const proxy = await openRedisProxy(redis.url);
  const worker = new MeasuredWorker(contender.launch({ url: proxy.url, concurrency: contender.idleOnly ? 1 : 100 }));
  try {
    await worker.ready;
    return await work({ url: redis.url, traffic: proxy.traffic, worker });
  } finally {
    await worker.stop();
    await proxy.close();
    await redis.close();
  }
}
