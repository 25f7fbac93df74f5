import type { Case } from '../case.ts';
import type { Contender } from '../contenders/contender.ts';
import { openStore } from '../run-worker.ts';

const warmUp = 200;

/** The producer is the same whatever runs the worker, so the first contender of Islet stands for all of them. */
function compared(contenders: readonly Contender[]): readonly Contender[] {
  const islet = contenders.find(({ key }) => key.startsWith('islet'));
  return contenders.filter((one) => one === islet || ['bullmq', 'bee-queue', 'graphile-worker'].includes(one.key));
}

/** Shows what the sending side costs. */
export const enqueue: Case = {
  name: 'enqueue',
  title: 'Enqueueing',
  base: 'bullmq',
  metrics: {
    onePerSecond: { label: 'one by one, jobs/s', unit: '', better: 'more' },
    bulkPerSecond: { label: 'in bulk, jobs/s', unit: '', better: 'more' },
  },
  about: ({ enqueueOne, enqueueMany }) => `${enqueueOne} jobs each awaited, then ${enqueueMany} at once; no worker`,
  entries: ({ contenders, sizes }) =>
    compared(contenders).map((contender) => ({
      key: contender.key.startsWith('islet') ? 'islet' : contender.key,
      name: contender.name.split(',')[0] ?? contender.name,
      async run() {
        const store = await openStore(contender.store);
        const sender = await contender.open(store.url);
        try {
          for (let n = 0; n < warmUp; n++) await sender.one('noop', { n });
          const startedAt = performance.now();
          for (let n = 0; n < sizes.enqueueOne; n++) await sender.one('noop', { n });
          const between = performance.now();
          await sender.many(
            'noop',
            Array.from({ length: sizes.enqueueMany }, (_, n) => ({ n })),
          );
          const endedAt = performance.now();
          return {
            onePerSecond: sizes.enqueueOne / ((between - startedAt) / 1_000),
            bulkPerSecond: sizes.enqueueMany / ((endedAt - between) / 1_000),
          };
        } finally {
          await sender.close();
          await store.close();
        }
      },
    })),
};
