import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Case, entriesOf, type Sample } from '../case.ts';
import type { Contender } from '../contenders/contender.ts';
import { untilIdle, withWorker } from '../run-worker.ts';
import { trickleMs } from '../sizes.ts';
import { quantile } from '../stats.ts';

/** Neither log lines nor a build make a difference here. Celery is left out: its sender is another program. */
const compared = ['islet-lean', 'islet-throughput', 'islet-minimal', 'bullmq', 'bee-queue', 'graphile-worker'];

/** Measures what most queues have most of the time: a job now and then. */
export const trickle: Case = {
  name: 'trickle',
  title: 'A trickle of jobs',
  base: 'bullmq',
  metrics: {
    waitMs: { label: 'wait, median', unit: 'ms', better: 'less' },
    wait99Ms: { label: 'wait, 99 %', unit: 'ms', better: 'less' },
    cpuPercent: { label: 'CPU', unit: '%', better: 'less' },
    rssMb: { label: 'RSS', unit: 'MB', better: 'less' },
  },
  about: ({ trickleMs: ms }) =>
    `${1_000 / trickleMs} jobs a second for ${ms / 1_000} s, each sent alone; from the sending until the job's first call`,
  entries(bench) {
    const keys = bench.sizes.quick ? ['islet-lean', trickle.base] : compared;
    const contenders = bench.contenders.filter(({ key }) => keys.includes(key));
    return entriesOf(contenders, (contender) => measure(contender, bench));
  },
};

function measure(contender: Contender, { sizes, api }: Bench): Promise<Sample> {
  return withWorker(contender, 100, async ({ worker, sender }) => {
    // The first jobs find a cold producer and connection.
    for (let n = 0; n < 10; n++) await sender.one('call', { url: `${api.origin}/0` });
    await untilIdle(contender, sender);
    await api.take();
    const [startedAt, cpuBefore] = [performance.now(), worker.cpuSeconds()];
    const sent: Promise<unknown>[] = [];
    for (let at = 0; at < sizes.trickleMs; at += trickleMs) {
      await sleep(Math.max(0, startedAt + at - performance.now()));
      sent.push(sender.one('call', { url: `${api.origin}/0?sent=${Date.now()}` }));
    }
    await Promise.all(sent);
    await untilIdle(contender, sender);
    const cpuPercent = ((worker.cpuSeconds() - cpuBefore) / (performance.now() - startedAt)) * 100_000;
    const { waits } = await api.take();
    const { rssMb } = worker.memory();
    return { waitMs: quantile(waits, 0.5), wait99Ms: quantile(waits, 0.99), cpuPercent, rssMb };
  });
}
