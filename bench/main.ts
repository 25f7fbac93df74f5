// No-op throughput and idle memory of Islet's worker against a bare BullMQ worker, interleaved in one run.
import { once } from 'node:events';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { createProducer } from 'islet/producer';
import { attachDevRedis } from '../src/dev-redis/dev-redis.ts';
import { type Contender, contenders, rssMb, startContender, untilReady } from './contender.ts';
import noop from './noop-app/tasks/noop/manifest.ts';

const { values } = parseArgs({
  options: { jobs: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '5' } },
});
const jobs = Number(values.jobs);
const rounds = Number(values.rounds);
const idleMs = 2_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

async function untilDrained(redis: Redis, prefix: string): Promise<void> {
  const [waiting, active] = await Promise.all([
    redis.llen(`${prefix}:{noop}:wait`),
    redis.llen(`${prefix}:{noop}:active`),
  ]);
  if (waiting + active === 0) return;
  await pause(5);
  return untilDrained(redis, prefix);
}

/** Idle first, then a backlog that is there before the clock starts: the worker is stopped meanwhile. */
async function measure(contender: Contender, redis: Redis, redisUrl: string, round: number) {
  const prefix = `islet-bench-${process.pid}-${round}-${contenders.indexOf(contender)}`;
  const child = startContender(contender, redisUrl, prefix);
  await untilReady(child);
  await pause(idleMs);
  const idleRssMb = rssMb(child);
  child.kill('SIGSTOP');
  const producer = createProducer({ redis: redisUrl, prefix, timeoutMs: 5_000 });
  await producer.enqueueMany(
    noop,
    Array.from({ length: jobs }, (_, n) => ({ payload: { n } })),
  );
  await producer.close();
  child.kill('SIGCONT');
  const startedAt = performance.now();
  await untilDrained(redis, prefix);
  const jobsPerSecond = jobs / ((performance.now() - startedAt) / 1_000);
  child.removeAllListeners('exit');
  child.kill('SIGTERM');
  await once(child, 'exit');
  const keys = await redis.keys(`${prefix}:*`);
  for (let start = 0; start < keys.length; start += 1_000) await redis.unlink(...keys.slice(start, start + 1_000));
  return { idleRssMb, jobsPerSecond };
}

const lent = process.env.REDIS_URL ? undefined : await attachDevRedis({ root: process.cwd(), path: process.env.PATH });
const redisUrl = process.env.REDIS_URL ?? lent?.url ?? '';
const redis = new Redis(redisUrl);
const seen = new Map(
  contenders.map(({ name }) => [name, { idleRssMb: [] as number[], jobsPerSecond: [] as number[] }]),
);
console.log(
  `Node ${process.version}, ${os.cpus().length} cores; ${jobs} no-op jobs, 100 in flight; medians of ${rounds} rounds`,
);
for (let round = 0; round < rounds; round++) {
  for (const contender of contenders) {
    const { idleRssMb, jobsPerSecond } = await measure(contender, redis, redisUrl, round);
    seen.get(contender.name)?.idleRssMb.push(idleRssMb);
    seen.get(contender.name)?.jobsPerSecond.push(jobsPerSecond);
  }
}
redis.disconnect();
await lent?.close();

const islet = seen.get('islet');
const rows = [...seen].map(([name, { idleRssMb, jobsPerSecond }]) => ({
  worker: name,
  'idle RSS MB': Math.round(median(idleRssMb)),
  'jobs/s': Math.round(median(jobsPerSecond)),
  'jobs/s min-max': `${Math.round(Math.min(...jobsPerSecond))}-${Math.round(Math.max(...jobsPerSecond))}`,
  'islet RSS ratio': (median(islet?.idleRssMb ?? []) / median(idleRssMb)).toFixed(2),
  'islet jobs/s ratio': (median(islet?.jobsPerSecond ?? []) / median(jobsPerSecond)).toFixed(2),
}));
console.table(rows);
