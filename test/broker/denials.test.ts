import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  moveToActive,
  moveToDelayed,
  moveToFinished,
  updateJobScheduler,
  updateProgress,
} from 'bullmq/dist/esm/scripts/index.js';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Broker, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { triedCommands } from '../../src/broker/rights.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { createProducer } from '../../src/producer.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts';

const completed: Outcome = { kind: 'completed', resultJson: undefined };

let redis: PrivateRedis;

beforeAll(async () => {
  redis = await startPrivateRedis();
});

afterAll(() => redis.close());

const acl = (...args: string[]) => redis.server.ask((client) => client.call('ACL', ...args));

/** Starts a worker of its own user and queue. Returns what it was given up for, if it was. */
async function startWorker(name: string, url = redis.server.url.replace(/\/\/.*@/, `//${name}:secret@`)) {
  await acl('SETUSER', name, 'reset', 'on', '>secret', '~*', '&*', '+@all');
  const broker: Broker = await connectBroker({ redis: url, prefix: 'test' });
  const dead: string[] = [];
  const done: string[] = [];
  const consumer = await broker.consume({
    queue: defineQueue({ name }),
    concurrency: 1,
    async run({ jobId }) {
      done.push(jobId);
      return completed;
    },
    onTrouble() {},
    onRecovered() {},
    onDead: ({ code, message }) => dead.push(`${code}: ${message}`),
  });
  consumer.start();
  const task = defineTask({ name: 'work', queue: name, payload: v.object({}) });
  const producer = createProducer({ redis: redis.server.url, prefix: 'test' });
  return {
    dead,
    done,
    enqueue: () => producer.enqueue(task, {}),
    async close() {
      await consumer.close();
      await Promise.all([broker.close(), producer.close()]);
    },
  };
}

describe.concurrent('a worker is given up', () => {
  const soon = { timeout: 28_000, interval: 100 };

  test.each([
    ['fetches', 'evalsha', /NOPERM .*'evalsha'/],
    ['waits for jobs', 'bzpopmin', /NOPERM .*'bzpopmin'/],
    ['writes events in scripts', 'xadd', /may not run "xadd"/],
    ['reads the worker records', 'time', /may not run "time"/],
    ['settles', 'lrem', /may not run "lrem"/],
  ])('when it has lost the right with which it %s', async (_, command, said) => {
    const worker = await startWorker(`no-${command}`);
    await worker.enqueue();
    await vi.waitFor(() => expect(worker.done).toHaveLength(1), soon);
    await acl('SETUSER', `no-${command}`, `-${command}`);
    await worker.enqueue();
    await vi.waitFor(() => expect(worker.dead[0]).toMatch(said), soon);
    expect(worker.dead[0]).toMatch(
      /^E_REDIS_DENIED: Redis has refused commands for queue "no-\w+" for 10 s: .* replaced\.$/,
    );
    await acl('SETUSER', `no-${command}`, '+@all');
    await worker.close();
  });

  test('when its password is no longer taken', async () => {
    const worker = await startWorker('logged-out');
    await acl('SETUSER', 'logged-out', 'resetpass', '>other');
    await redis.server.ask((client) => client.call('CLIENT', 'KILL', 'USER', 'logged-out'));
    await vi.waitFor(() => expect(worker.dead[0]).toMatch(/^E_REDIS_DENIED: .*WRONGPASS/), soon);
    await acl('SETUSER', 'logged-out', '>secret');
    await worker.close();
  });

  test('when its Redis stays a replica, and not when that is a failover', async () => {
    const [stays, returns] = [await startPrivateRedis(), await startPrivateRedis()];
    const workers = [await startWorker('stays', stays.server.url), await startWorker('returns', returns.server.url)];
    await Promise.all([stays.demote(true), returns.demote(true)]);
    await sleep(8_000);
    await returns.demote(false);
    const [given, kept] = workers as [(typeof workers)[0], (typeof workers)[0]];
    await vi.waitFor(() => expect(given.dead[0]).toMatch(/^E_REDIS_NOT_READY: .* for 25 s: READONLY/), soon);
    expect(kept.dead).toEqual([]);
    await stays.demote(false);
    await Promise.all(workers.map((worker) => worker.close()));
    await Promise.all([stays.close(), returns.close()]);
  });

  test('but not when it gets the right back soon', async () => {
    const worker = await startWorker('forgiven');
    await acl('SETUSER', 'forgiven', '-evalsha');
    await worker.enqueue();
    await sleep(3_000);
    await acl('SETUSER', 'forgiven', '+evalsha');
    await vi.waitFor(() => expect(worker.done).toHaveLength(1), soon);
    await sleep(11_000);
    expect(worker.dead).toEqual([]);
    await worker.close();
  });
}, 45_000);

test('a worker that lacks a right does not start, and names the commands', async () => {
  await acl('SETUSER', 'poor', 'on', '>secret', '~*', '&*', '+@all', '-xadd', '-pexpire');
  const url = redis.server.url.replace(/\/\/.*@/, '//poor:secret@');
  const broker = await connectBroker({ redis: url, prefix: 'test' });
  const ignored = { run: async () => completed, onTrouble() {}, onRecovered() {}, onDead() {} };
  await expect(
    broker.consume({ queue: defineQueue({ name: 'mail' }), concurrency: 1, ...ignored }),
  ).rejects.toMatchObject({
    code: 'E_REDIS_DENIED',
    message:
      'The user in REDIS_URL may not run "pexpire", "xadd", which a worker of queue "mail" needs. ' +
      'Give the user rights to the keys and channels that start with `redis.prefix`, and with the `bullmq.prefix` of a mapped queue.',
  });
  await broker.close();
});

test('each command of the scripts that a worker runs is tried', () => {
  const used = [moveToActive, moveToFinished, moveToDelayed, updateProgress, updateJobScheduler];
  const texts = [
    ...used.map(({ content }) => content),
    ...readdirSync('src/broker').map((file) => readFileSync(`src/broker/${file}`, 'utf8')),
  ];
  const commands = texts.flatMap((text) =>
    [...text.matchAll(/call\(\s*["']([A-Za-z]+)["']/g)].map(([, name = '']) => name),
  );
  const tried = triedCommands.map(([name]) => name);
  expect([...new Set(commands.map((name) => name.toUpperCase()))].filter((name) => !tried.includes(name))).toEqual([]);
});
