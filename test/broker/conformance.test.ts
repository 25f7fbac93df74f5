import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { createProducer } from '../../src/producer/create-producer.ts';
import type { MetaSource } from '../../src/producer/current-meta.ts';
import { openProducer } from '../../src/producer/producer.ts';
import { createMemoryBroker } from '../../src/testing/memory-broker.ts';
import { createTestClock } from '../../src/testing/test-clock.ts';
import { openRedisPlace } from '../support/redis-place.ts';
import { promises, type Rig } from './conformance.ts';

async function openRedisRig(): Promise<Rig> {
  const place = openRedisPlace();
  const { url: redis, prefix } = place;
  const producer = createProducer({ redis, prefix });
  const broker = await connectBroker({ redis, prefix });
  return {
    producer,
    broker,
    advance: (ms) => sleep(ms),
    until: (check) => vi.waitFor(check, { timeout: 5_000, interval: 5 }),
    openProducer: (meta) => createProducer({ redis, prefix, meta }),
    async close() {
      await Promise.all([producer.close(), broker.close()]);
      await place.close();
    },
  };
}

async function openMemoryRig(change = (broker: Broker): Broker => broker): Promise<Rig> {
  const clock = createTestClock(Date.now());
  const memory = createMemoryBroker(clock);
  const open = (meta?: MetaSource) => openProducer(memory.connectProducer(), 900, meta);
  const producer = open();
  return {
    producer,
    broker: change(memory),
    advance: (ms) => clock.advance(ms),
    until: (check) => vi.waitFor(check, { timeout: 1_000, interval: 5 }),
    openProducer: open,
    close: () => producer.close(),
  };
}

const brokers = [
  ['Redis', openRedisRig],
  ['memory', openMemoryRig],
] as const;

describe.each(brokers)('in %s', (_, openRig) => {
  let rig: Rig;

  beforeEach(async () => {
    rig = await openRig();
  });

  afterEach(() => rig.close());

  test.each(Object.entries(promises))('%s', (_name, keeps) => keeps(rig));
});

/** Makes a broker in memory that changes each delivery, or its outcome. */
function differing(change: { delivery?(given: Delivery): Delivery; outcome?(given: Outcome): Outcome }) {
  const { delivery = (given) => given, outcome = (given) => given } = change;
  return (broker: Broker): Broker => ({
    ...broker,
    consume: (options) =>
      broker.consume({ ...options, run: async (given) => outcome(await options.run(delivery(given))) }),
  });
}

test.each([
  [
    'counts no attempt of a retry',
    differing({ outcome: (given) => (given.kind === 'retry' ? { kind: 'snoozed', delayMs: given.delayMs } : given) }),
    [
      'a job that fails is read with its failure, and between its attempts without',
      'a retry comes again as the next attempt, after its delay',
    ],
  ],
  [
    'counts a release of a job that never started',
    differing({ outcome: (given) => (given.kind === 'released' ? { kind: 'released', counted: true } : given) }),
    ['a job that was given back unstarted does not count it as a release'],
  ],
  [
    'lets everybody pass the fence of an at-most-once job',
    differing({ delivery: (given) => ({ ...given, markStarted: async () => true }) }),
    ['the fence of an at-most-once job is passed once, and arrives with the next delivery'],
  ],
  [
    'does not keep failures',
    differing({
      outcome: (given) => (given.kind === 'failed' ? { ...given, kind: 'completed', resultJson: undefined } : given),
    }),
    [
      'a failed job is kept, and not tried again',
      'a failure reaches who waits for the result, with code and cause',
      'a failure reaches who waits with its own code and detail, and what stands behind it',
      'a job that fails is read with its failure, and between its attempts without',
      'a simple dedupe key is free when the job has failed',
      'no more failed jobs are kept than the queue says',
      'the result that an earlier job of an id has left is not taken for that of a later one',
    ],
  ],
])(
  'a broker that %s breaks just that promise',
  async (_, change, broken) => {
    const kept = Object.entries(promises).map(async ([name, keeps]) => {
      const rig = await openMemoryRig(change);
      return keeps(rig).then(
        () => [],
        () => [name],
      );
    });
    expect((await Promise.all(kept)).flat().sort()).toEqual(broken);
  },
  15_000,
);
