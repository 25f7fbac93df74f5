import type { Case } from '../case.ts';
import { withWorker } from '../run-worker.ts';

/** What the framework itself costs: jobs that do nothing. */
export const noop: Case = {
  name: 'noop',
  title: 'Throughput of jobs that do nothing',
  base: 'bullmq',
  metrics: {
    jobsPerSecond: { label: 'jobs/s', unit: '', better: 'more' },
    cpuMicrosPerJob: { label: 'CPU per job', unit: 'µs', better: 'less' },
    peakRssMb: { label: 'peak RSS', unit: 'MB', better: 'less' },
  },
  about: ({ noopJobs }) => `a backlog of ${noopJobs} no-op jobs (Celery: fewer), 100 in flight`,
  entries: ({ contenders, sizes }) =>
    contenders
      .filter(({ idleOnly }) => !idleOnly)
      .map((contender) => ({
        key: contender.key,
        name: contender.name,
        run: () =>
          withWorker(contender, 100, async ({ worker, drain }) => {
            const jobs = Math.min(sizes.noopJobs, contender.noopJobs ?? sizes.noopJobs);
            const { seconds, cpuSeconds } = await drain(
              'noop',
              Array.from({ length: jobs }, (_, n) => ({ n })),
            );
            return {
              jobsPerSecond: jobs / seconds,
              cpuMicrosPerJob: (cpuSeconds / jobs) * 1_000_000,
              peakRssMb: worker.memory().peakRssMb,
            };
          }),
      })),
};
