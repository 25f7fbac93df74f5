import { afterEach, describe, expect, test } from 'vitest';
import { hostilePayloads } from '../../lab/hostile/arbitraries.ts';
import type { HostilePayload } from '../../lab/hostile/recipe.ts';
import { attack } from '../support/attack.ts';
import { tryHostileJob } from '../support/hostile-job.ts';
import { type BrokerName, HostileWorker, longestWaitMs, type PoolName } from '../support/hostile-worker.ts';

let worker: HostileWorker;

afterEach(() => worker.close());

const places: [PoolName, BrokerName, cases: number, atOnce: number][] = [
  ['async', 'memory', 3_500, 50],
  ['async', 'redis', 3_000, 50],
  ['thread', 'memory', 1_500, 6],
  ['thread', 'redis', 1_500, 6],
  ['process', 'memory', 1_000, 6],
  ['process', 'redis', 1_000, 6],
];

const harmless: HostilePayload = {
  act: 'return',
  recipe: { is: 'json', value: 1 },
  token: '',
  user: { email: '' },
  items: [],
};

describe.each(places)('in the pool "%s" on the broker "%s"', (pool, broker, cases, atOnce) => {
  test('each delivery settles once, in its time, without a word of a secret, and delays no other job', async () => {
    worker = await HostileWorker.open({ broker, pool });
    const waits = worker.watchGoodJobs();
    await attack({
      cases,
      atOnce,
      values: hostilePayloads,
      attempt: (payload) => tryHostileJob(worker, pool, payload),
      async recover() {
        await worker.close();
        worker = await HostileWorker.open({ broker, pool });
      },
      doubts: {
        time: () => waits.tooLong(),
        async attempt(payload) {
          const run = (one: HostilePayload) => () => tryHostileJob(worker, pool, one);
          const delayMs = await worker.delayBy(run(payload), run(harmless));
          return delayMs > longestWaitMs ? `A good job waited ${delayMs} ms for it` : undefined;
        },
      },
    });
    await waits.stop();
    expect(worker.strays).toEqual([]);
    expect(await worker.stop()).toBe(0);
  }, 120_000);
});
