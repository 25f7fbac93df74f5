import { until } from '../../kit/wait.ts';
import { type Case, entriesOf, type Sample } from '../case.ts';
import type { Contender } from '../contenders/contender.ts';
import { MeasuredWorker } from '../measured-worker.ts';
import { openStore } from '../run-worker.ts';

const askEveryMs = 4;
const limitMs = 60_000;

/** Measures the time that a deploy, a crash or a scale-up waits for. */
export const start: Case = {
  name: 'start',
  title: 'Cold start to the first job done',
  base: 'bullmq',
  metrics: { seconds: { label: 'to the first job done', unit: 's', better: 'less' } },
  about: () => 'from the launch of the process until the one job that waits is done',
  entries: ({ contenders }) => entriesOf(contenders, measure),
};

async function measure(contender: Contender): Promise<Sample> {
  const store = await openStore(contender.store);
  const sender = await contender.open(store.url);
  await sender.many('noop', [{ n: 0 }]);
  const startedAt = performance.now();
  const worker = new MeasuredWorker(contender.launch({ url: store.url, concurrency: contender.idleOnly ? 1 : 100 }));
  try {
    const isDone = async () => !(await sender.busy());
    if (!(await until(isDone, { everyMs: askEveryMs, limitMs }))) {
      throw new Error(`${contender.name} did not run its first job.`);
    }
    return { seconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    await worker.stop();
    await sender.close();
    await store.close();
  }
}
