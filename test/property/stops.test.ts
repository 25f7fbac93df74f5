import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, test } from 'vitest';
import { hostilePayloads } from '../../lab/hostile/arbitraries.ts';
import type { HostilePayload } from '../../lab/hostile/recipe.ts';
import { attack } from '../support/attack.ts';
import { HostileWorker, hostileTasks, isOver, type PoolName } from '../support/hostile-worker.ts';

let worker: HostileWorker;

afterEach(() => worker.close());

interface Stop {
  readonly payloads: readonly HostilePayload[];
  /** How long the worker runs before it is stopped, in milliseconds. */
  readonly afterMs: number;
}

const stops: fc.Arbitrary<Stop> = fc.record(
  { payloads: fc.array(hostilePayloads, { minLength: 1, maxLength: 20 }), afterMs: fc.nat(60) },
  { noNullPrototype: true },
);
const limitMs = 10_000;

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
  const hanging = sent.find(({ id }) => watch.of(id).starts !== watch.of(id).settled.length);
  if (hanging) return `After the stop a delivery is not settled: ${JSON.stringify(watch.of(hanging.id))}`;
  await worker.start();
  for (const { id } of sent) {
    const watched = await watch.over(id, limitMs);
    if (!isOver(watched)) return `The job is not over: ${JSON.stringify(watched)}`;
    if (watched.starts !== watched.settled.length)
      return `It was started ${watched.starts} times: ${JSON.stringify(watched)}`;
  }
  return strays[0];
}

describe.each<PoolName>(['async', 'thread', 'process'])('in the pool "%s"', (pool) => {
  test('each stop keeps its deadline, and the next worker ends what is left', async () => {
    const open = async () => {
      worker = await HostileWorker.open({ broker: 'redis', pool });
    };
    await open();
    await attack({
      cases: 16,
      values: stops,
      attempt: (stop) => tryStop(pool, stop),
      async recover() {
        await worker.close();
        await open();
      },
    });
  }, 90_000);
});
