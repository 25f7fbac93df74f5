import { startEmptyRedis } from '../kit/redis.ts';
import { until } from '../kit/wait.ts';
import type { Contender, Sender, Store, StoreKind } from './contenders/contender.ts';
import { MeasuredWorker } from './measured-worker.ts';
import { createDatabase } from './postgres.ts';

const drainLimitMs = 300_000;

export const openStore = (kind: StoreKind): Promise<Store> => (kind === 'redis' ? startEmptyRedis() : createDatabase());

export interface Running {
  readonly worker: MeasuredWorker;
  readonly sender: Sender;
  /** Lays a backlog while the worker is stopped, starts the clock with it, and returns the seconds until all is done. */
  drain(task: 'noop' | 'call', payloads: readonly object[]): Promise<{ seconds: number; cpuSeconds: number }>;
}

/** Runs a contender's worker on a store of its own for as long as the work takes. */
export async function withWorker<T>(
  contender: Contender,
  concurrency: number,
  work: (running: Running) => Promise<T>,
): Promise<T> {
  const store = await openStore(contender.store);
  try {
    const sender = await contender.open(store.url);
    const worker = new MeasuredWorker(contender.launch({ url: store.url, concurrency }));
    try {
      await worker.ready;
      const drain: Running['drain'] = (task, payloads) => drainBacklog(contender, { worker, sender }, task, payloads);
      return await work({ worker, sender, drain });
    } finally {
      await worker.stop();
      await sender.close();
    }
  } finally {
    await store.close();
  }
}

async function drainBacklog(
  contender: Contender,
  { worker, sender }: Pick<Running, 'worker' | 'sender'>,
  task: 'noop' | 'call',
  payloads: readonly object[],
) {
  worker.freeze();
  await sender.many(task, payloads).finally(() => worker.thaw());
  const startedAt = performance.now();
  const cpuBefore = worker.cpuSeconds();
  await untilIdle(contender, sender);
  const seconds = (performance.now() - startedAt) / 1_000;
  return { seconds, cpuSeconds: worker.cpuSeconds() - cpuBefore };
}

/** Waits until no job waits or runs. */
export async function untilIdle({ name, askEveryMs = 5 }: Contender, sender: Sender): Promise<void> {
  const isIdle = async () => !(await sender.busy());
  if (await until(isIdle, { everyMs: askEveryMs, limitMs: drainLimitMs })) return;
  throw new Error(`${name} still had jobs after ${drainLimitMs / 1_000} s.`);
}
