import { Queue } from 'bullmq';
import { Queue as Queue5 } from 'bullmq-5';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { expect, test, vi } from 'vitest';
import { defineTask } from '../../src/manifest/define-task.ts';
import { bullmqQueue } from '../../src/producer.ts';
import { openRedisPlace } from '../support/redis-place.ts';
import { serveTasks } from '../support/serve-tasks.ts';

const formerNames = ['sendWelcome', '__default__', '__proto__', '', ' a b ', 'a:b', '\u0000', 'ä€😀', 'x'.repeat(500)];
const manifest = defineTask({ name: 'send-welcome', queue: 'mail', payload: v.any(), formerNames });

test.each([
  ['6', Queue],
  ['5', Queue5 as unknown as typeof Queue],
])('a task runs jobs under any former name that BullMQ %s takes', async (_, Plain) => {
  const place = openRedisPlace();
  const redis = new Redis(place.url, { maxRetriesPerRequest: null });
  const { name, prefix } = bullmqQueue('mail', { prefix: place.prefix });
  const queue = new Plain(name, { prefix, connection: redis });
  const run: string[] = [];
  const { outcomes, close } = await serveTasks(place, {
    tasks: [{ manifest, run: () => 'sent' }],
    onOutcome: ({ task }) => run.push(task),
  });
  await queue.addBulk(formerNames.map((former) => ({ name: former, data: {} })));
  await vi.waitFor(() => expect(run.sort()).toEqual([...formerNames].sort()), 5_000);
  expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['completed']));
  await close();
  await queue.close();
  redis.disconnect();
  await place.close();
});
