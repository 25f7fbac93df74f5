import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, test } from 'vitest';
import { hostilePayloads } from '../../lab/hostile/arbitraries.ts';
import type { HostilePayload } from '../../lab/hostile/recipe.ts';
import { attack } from '../support/attack.ts';
import { HostileWorker, hostileTasks, isOver, type PoolName, type Watched } from '../support/hostile-worker.ts';

let worker: HostileWorker;

afterEach(() => worker.close());

interface Stop {
  readonly payloads: readonly HostilePayload[];
  /** How long the worker runs before it is stopped, in milliseconds. */
  readonly afterMs: number;
}

/** No more than the units of a pool and those that wait for them: a job for which there is no room waits a second. */
const mostJobs = 6;

const stops: fc.Arbitrary<Stop> = fc.record(
  { payloads: fc.array(hostilePayloads, { minLength: 1, maxLength: mostJobs }), afterMs: fc.nat(60) },
  { noNullPrototype: true },
);
const limitMs = 10_000;

/** What a worker fetches after its stop is settled without having been run. */
const isHanging = ({ starts, settled }: Watched) => settled.length < starts;

/** Stops a worker that has hostile jobs, and lets the next one end them. */
async function tryStop(pool: PoolName, { payloads, afterMs }: Stop): Promise<string | undefined> {
  const { producer, watch, strays } = worker;
  const task = hostileTasks[pool];
  const sent = await producer.enqueueMany(
    task,
    payloads.map((payload) => ({ payload })),
  );
  await sleep(afterMs);
  const lateMs = await worker.stop();
  if (lateMs > 0) return `The stop was ${Math.round(lateMs)} ms over its deadline`;
  const hanging = sent.find(({ id }) => isHanging(watch.of(id)));
  if (hanging) return `After the stop a delivery is not settled: ${JSON.stringify(watch.of(hanging.id))}`;
  await worker.start();
  for (const { id } of sent) {
    const watched = await watch.over(id, limitMs);
    if (!isOver(watched)) return `The job is not over: ${JSON.stringify(watched)}`;
    if (isHanging(watched)) return `A delivery is not settled: ${JSON.stringify(watched)}`;
  }
  return strays[0];
}

const places: [PoolName, cases: number][] = [
  ['async', 24],
  ['thread', 4],
  ['process', 4],
];

describe.each(places)('in the pool "%s"', (pool, cases) => {
  test('each stop keeps its deadline, and the next worker ends what is left', async () => {
    const open = async () => {
      worker = await HostileWorker.open({ broker: 'redis', pool });
    };
    await open();
    await attack({
      cases,
      values: stops,
      attempt: (stop) => tryStop(pool, stop),
      async recover() {
        await worker.close();
        await open();
      },
    });
  }, 90_000);
});
