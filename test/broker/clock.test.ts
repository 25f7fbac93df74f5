import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broker, Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { createProducer } from '../../src/producer.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload: v.object({}) });
const minutes = 60_000;

let place: RedisPlace;
const opened: { close(): Promise<void> }[] = [];

beforeEach(() => {
  place = openRedisPlace();
});

afterEach(async () => {
  vi.useRealTimers();
  for (const one of opened.splice(0).reverse()) await one.close();
  await place.close();
});

/** Sets the clock of this machine wrong; the timers go on as they are. */
function setWrong(byMs: number): void {
  vi.useRealTimers();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs });
}

/** Enqueues a delayed job on a machine whose clock is wrong by so much. */
async function enqueue(delayMs: number, skewMs: number): Promise<void> {
  setWrong(skewMs);
  const producer = createProducer({ redis: place.url, prefix: place.prefix });
  opened.push(producer);
  await producer.enqueue(sendEmail, {}, { delayMs });
  vi.useRealTimers();
}

/** Works on a machine whose clock is wrong by so much. */
async function work(skewMs: number, outcomes: Outcome[] = []) {
  setWrong(skewMs);
  const notices: string[] = [];
  const onNotice = (notice: string) => notices.push(notice);
  const broker: Broker = await connectBroker({ redis: place.url, prefix: place.prefix, onNotice });
  opened.push(broker);
  const delivered: Delivery[] = [];
  const run = async (delivery: Delivery): Promise<Outcome> => {
    delivered.push(delivery);
    return outcomes.shift() ?? { kind: 'completed', resultJson: undefined };
  };
  const ignored = { onTrouble() {}, onRecovered() {}, onDead() {} };
  const consumer = await broker.consume({ queue: defineQueue({ name: 'mail' }), concurrency: 1, run, ...ignored });
  opened.push(consumer);
  consumer.start();
  return { delivered, notices, broker };
}

const skews = [
  ['ten minutes ahead', 10 * minutes],
  ['ten minutes behind', -10 * minutes],
] as const;

describe.each(skews)('on a machine whose clock is %s', (_, skewMs) => {
  test('a producer’s delay lasts as long as it says', async () => {
    const startedAt = performance.now();
    await enqueue(500, skewMs);
    const { delivered } = await work(0);
    await vi.waitFor(() => expect(delivered).toHaveLength(1), { timeout: 3_000, interval: 10 });
    expect(performance.now() - startedAt).toBeGreaterThan(450);
  });

  test('a worker takes a delayed job when it is due, and delays its retry as long as it says', async () => {
    await enqueue(500, 0);
    const startedAt = performance.now();
    const failure = { code: 'E_TASK_FAILED', causeName: 'Error', causeMessage: 'no', stack: '' };
    const { delivered } = await work(skewMs, [{ kind: 'retry', failure, delayMs: 300 }]);
    await vi.waitFor(() => expect(delivered).toHaveLength(2), { timeout: 3_000, interval: 10 });
    expect(performance.now() - startedAt).toBeGreaterThan(650);
  });

  test('a worker says so at its start, and counts releases by the clock of Redis', async () => {
    await enqueue(0, 0);
    const { delivered, notices, broker } = await work(skewMs, [{ kind: 'released', counted: true }]);
    await vi.waitFor(() => expect(delivered).toHaveLength(2), { timeout: 3_000, interval: 10 });
    const [releasedAt = 0] = delivered[1]?.memory.releases ?? [];
    expect(Math.abs(broker.now() - releasedAt)).toBeLessThan(5_000);
    const side = skewMs > 0 ? 'behind' : 'ahead of';
    const said = new RegExp(`^The clock of Redis is (599|600)\\d{3} ms ${side} this machine's\\. Delays follow`);
    expect(notices).toContainEqual(expect.stringMatching(said));
    vi.useRealTimers();
    expect(Math.abs(Date.now() - releasedAt)).toBeLessThan(5_000);
  });
});

test('a producer says once that the clocks differ', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  await enqueue(0, 5_000);
  await enqueue(0, 0);
  await new Promise(setImmediate);
  process.off('warning', onWarning);
  expect(warnings).toMatchObject([
    {
      name: 'IsletWarning',
      code: 'ISLET_CLOCK_SKEW',
      message: expect.stringMatching(/^The clock of Redis is \d+ ms behind/),
    },
  ]);
});

test('a job that may start now does not wait on a machine whose clock is wrong', async () => {
  const { delivered } = await work(10 * minutes);
  await enqueue(0, -10 * minutes);
  await vi.waitFor(() => expect(delivered).toHaveLength(1), { timeout: 1_000, interval: 10 });
});
