import { type Job, Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PermanentError } from '../../src/errors.ts';
import { defineQueue, type QueueManifest } from '../../src/manifest/define-queue.ts';
import { type AnyTask, defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue, createProducer } from '../../src/producer.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';
import { type ServeOptions, serveTasks } from '../support/serve-tasks.ts';

const given = { payload: v.any(), maxResultBytes: 1_000_000, attempts: 1 };
const retention = { completedCount: 10 };

/** Returns what its payload says, or throws it. */
const run = ({ returns, throws }: { returns?: unknown; throws?: string }) => {
  if (throws !== undefined) throw new PermanentError(throws);
  return returns;
};

let place: RedisPlace;
let mail: QueueManifest;
let shown: AnyTask;
let hidden: AnyTask;
let queue: Queue;
let redis: Redis;
let events: QueueEvents;
const closers: (() => unknown)[] = [];

/** Makes the manifests of a queue of Islet's, or of one that was there before, and the tools of a plain program. */
async function open(isMapped: boolean): Promise<void> {
  place = openRedisPlace();
  const bullmq = isMapped ? { name: 'Send Mail', prefix: place.prefix } : undefined;
  mail = defineQueue({ name: 'mail', bullmq });
  shown = defineTask({ ...given, name: 'shown', queue: mail, ...(isMapped ? {} : { keepReturnValue: true }) });
  hidden = defineTask({ ...given, name: 'hidden', queue: mail, ...(isMapped ? { keepReturnValue: false } : {}) });
  redis = new Redis(place.url, { maxRetriesPerRequest: null });
  const { name, prefix } = bullmqQueue(mail, { prefix: place.prefix });
  events = new QueueEvents(name, { prefix, connection: redis.duplicate() });
  queue = new Queue(name, { prefix, connection: redis });
  closers.push(
    () => events.close(),
    () => queue.close(),
  );
  await events.waitUntilReady();
}

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  redis.disconnect();
  await place.close();
});

async function serve(options: Partial<ServeOptions> = {}): Promise<void> {
  const tasks = [shown, hidden].map((manifest) => ({ manifest, run }));
  const { close } = await serveTasks(place, { tasks, queue: mail, ...options });
  closers.push(close);
}

const add = (name: string, payload: object, options = {}): Promise<Job> => queue.add(name, payload, options);
const untilFinished = (job: Job) => job.waitUntilFinished(events, 5_000);

describe.each([
  ['an unmapped queue', false],
  ['a queue that was there before Islet', true],
])('in %s,', (_, isMapped) => {
  beforeEach(() => open(isMapped));

  describe("`keepReturnValue` writes the result as BullMQ's", () => {
    test.each([
      ['an object', { a: [1, 'ä', null] }, { a: [1, 'ä', null] }],
      ['a text', 'sent', 'sent'],
      ['0', 0, 0],
      ['nothing', undefined, null],
      ['a result of 900 KB', 'x'.repeat(900_000), 'x'.repeat(900_000)],
    ])('and `waitUntilFinished` resolves with %s', async (_, returns, seen) => {
      const job = await add('shown', { returns });
      const ended = untilFinished(job);
      await serve();
      expect(await ended).toEqual(seen);
    });

    test('and the job has it, where the retention or its own options keep that', async () => {
      const kept = await add('shown', { returns: { sent: 1 } }, { removeOnComplete: false });
      await serve({ queue: { ...mail, retention: { ...mail.retention, ...retention } } });
      const also = await add('shown', { returns: { sent: 2 } });
      for (const [job, sent] of [[kept, 1] as const, [also, 2] as const]) {
        expect(await untilFinished(job)).toEqual({ sent });
        expect((await queue.getJob(job.id ?? ''))?.returnvalue).toEqual({ sent });
      }
    });

    test("and keeps Islet's own result beside it", async () => {
      const producer = createProducer({ redis: place.url, prefix: place.prefix });
      closers.push(() => producer.close());
      await serve({ queue: { ...mail, retention: { ...mail.retention, ...retention } } });
      const handle = await producer.enqueue(shown, { returns: { sent: 1 } }, { keepResultMs: 60_000 });
      expect(await handle.result({ timeoutMs: 5_000 })).toEqual({ sent: 1 });
      expect((await queue.getJob(handle.id))?.returnvalue).toEqual({ sent: 1 });
    });

    test('only where the task says so', async () => {
      const job = await add('hidden', { returns: 'secret' });
      const ended = untilFinished(job);
      await serve();
      expect(await ended).toBeNull();
    });
  });

  test('`waitUntilFinished` rejects with the failed reason, which the job shows, too', async () => {
    const job = await add('shown', { throws: 'no such user' });
    const ended = untilFinished(job);
    ended.catch(() => {});
    await serve();
    const reason = 'E_TASK_PERMANENT: PermanentError: no such user';
    await expect(ended).rejects.toThrow(reason);
    await expect(untilFinished(job)).rejects.toThrow(reason);
    await vi.waitFor(async () => expect(await job.isFailed()).toBe(true), 5_000);
    expect(await queue.getJob(job.id ?? '')).toMatchObject({
      failedReason: reason,
      stacktrace: [expect.stringMatching(/^PermanentError: no such user\n +at .*run /)],
    });
  });
});
