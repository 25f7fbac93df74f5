import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Case, entriesOf, type Sample } from '../case.ts';
import type { Contender } from '../contenders/contender.ts';
import { withWorker } from '../run-worker.ts';
import { callMs } from '../sizes.ts';

const concurrency = 100;
/** How long it takes until the garbage of a start is collected. */
const settleMs = 1_500;

/** Measures workers idle and under load: calls of a slow API, 100 in flight. */
export const load: Case = {
  name: 'load',
  title: 'RAM, time and CPU of waiting for an API',
  base: 'bullmq',
  metrics: {
    idleRssMb: { label: 'RSS idle', unit: 'MB', better: 'less' },
    idlePssMb: { label: 'PSS idle', unit: 'MB', better: 'less' },
    peakRssMb: { label: 'peak RSS', unit: 'MB', better: 'less' },
    peakAnonymousMb: { label: 'peak anonymous', unit: 'MB', better: 'less' },
    peakPssMb: { label: 'peak PSS', unit: 'MB', better: 'less' },
    drainSeconds: { label: 'drain', unit: 's', better: 'less' },
    cpuSeconds: { label: 'CPU', unit: 's', better: 'less' },
  },
  about: ({ loadJobs }) =>
    `${loadJobs} jobs that call an API of ${callMs} ms over kept connections, ${concurrency} in flight; children summed`,
  entries: (bench) => entriesOf(bench.contenders, (contender) => measure(contender, bench)),
};

function measure(contender: Contender, { sizes, api }: Bench): Promise<Sample> {
  return withWorker(contender, contender.idleOnly ? 1 : concurrency, async ({ worker, drain }): Promise<Sample> => {
    await sleep(settleMs);
    const { rssMb: idleRssMb, pssMb: idlePssMb } = worker.memory();
    if (contender.idleOnly) return { idleRssMb, idlePssMb };
    const url = `${api.origin}/${callMs}`;
    const endWatch = worker.watchPrivate();
    const { seconds, cpuSeconds } = await drain(
      'call',
      Array.from({ length: sizes.loadJobs }, () => ({ url })),
    );
    const { calls } = await api.take();
    if (calls < sizes.loadJobs) throw new Error(`${contender.name} made ${calls} of ${sizes.loadJobs} calls.`);
    const { anonymousMb: peakAnonymousMb, pssMb: peakPssMb } = endWatch();
    const { peakRssMb } = worker.memory();
    return { idleRssMb, idlePssMb, peakRssMb, peakAnonymousMb, peakPssMb, drainSeconds: seconds, cpuSeconds };
  });
}
