import type { Case } from '../case.ts';
import { withWorker } from '../run-worker.ts';
import { callMs } from '../sizes.ts';

const steps = [1, 10, 100, 1_000];
const compared = ['islet-lean', 'bullmq'];

/** Shows what one more job in flight costs. */
export const concurrency: Case = {
  name: 'concurrency',
  title: 'From 1 to 1,000 jobs in flight',
  base: 'bullmq@100',
  metrics: {
    peakRssMb: { label: 'peak RSS', unit: 'MB', better: 'less' },
    jobsPerSecond: { label: 'jobs/s', unit: '', better: 'more' },
  },
  about: ({ jobsPerSlot }) => `${jobsPerSlot} calls of ${callMs} ms for each job in flight`,
  entries: ({ contenders, sizes, api }) =>
    contenders
      .filter(({ key }) => compared.includes(key))
      .flatMap((contender) =>
        steps
          .filter((step) => step >= 100 || !sizes.quick)
          .map((step) => ({
            key: `${contender.key}@${step}`,
            name: `${contender.name}, ${step} in flight`,
            run: () =>
              withWorker(contender, step, async ({ worker, drain }) => {
                const jobs = step * sizes.jobsPerSlot;
                const url = `${api.origin}/${callMs}`;
                const { seconds } = await drain(
                  'call',
                  Array.from({ length: jobs }, () => ({ url })),
                );
                await api.take();
                return { peakRssMb: worker.memory().peakRssMb, jobsPerSecond: jobs / seconds };
              }),
          })),
      ),
};
