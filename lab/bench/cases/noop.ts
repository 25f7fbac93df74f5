import { type Case, entriesOf, type Sample } from '../case.ts';
import type { Contender } from '../contenders/contender.ts';
import { type Running, withWorker } from '../run-worker.ts';
import type { Sizes } from '../sizes.ts';

const numbered = (jobs: number) => Array.from({ length: jobs }, (_, n) => ({ n }));

/** Shows what the framework itself costs, by jobs that do nothing. */
export const noop: Case = {
  name: 'noop',
  title: 'Throughput of jobs that do nothing',
  base: 'bullmq',
  metrics: {
    jobsPerSecond: { label: 'jobs/s', unit: '', better: 'more' },
    cpuMicrosPerJob: { label: 'CPU per job', unit: 'µs', better: 'less' },
    firstPerSecond: { label: 'jobs/s of the first', unit: '', better: 'more' },
    firstCpuMicros: { label: 'CPU per job of the first', unit: 'µs', better: 'less' },
    peakRssMb: { label: 'peak RSS', unit: 'MB', better: 'less' },
    peakAnonymousMb: { label: 'peak anonymous', unit: 'MB', better: 'less' },
  },
  about: ({ noopJobs, steadyJobs }) =>
    `a backlog of ${noopJobs} no-op jobs while the worker is new, then one of ${steadyJobs} (fewer where they would take ` +
    'minutes: Celery 2,000, graphile-worker 5,000), 100 in flight',
  entries: ({ contenders, sizes }) =>
    entriesOf(
      contenders.filter(({ idleOnly }) => !idleOnly),
      (contender) => withWorker(contender, 100, (running) => measure(contender, running, sizes)),
    ),
};

async function measure(
  { noopJobs: most = Number.POSITIVE_INFINITY }: Contender,
  { worker, drain }: Running,
  sizes: Sizes,
): Promise<Sample> {
  const [few, many] = [Math.min(sizes.noopJobs, most), Math.min(sizes.steadyJobs, most)];
  const endWatch = worker.watchPrivate();
  const first = await drain('noop', numbered(few));
  const steady = await drain('noop', numbered(many));
  return {
    jobsPerSecond: many / steady.seconds,
    cpuMicrosPerJob: (steady.cpuSeconds / many) * 1_000_000,
    firstPerSecond: few / first.seconds,
    firstCpuMicros: (first.cpuSeconds / few) * 1_000_000,
    peakRssMb: worker.memory().peakRssMb,
    peakAnonymousMb: endWatch().anonymousMb,
  };
}
