import { inspect } from 'node:util';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createClient } from '../../src/broker/connection.ts';
import { defineQueue, defineTask } from '../../src/index.ts';
import { bullmqQueue, createProducer, type Producer } from '../../src/producer.ts';
import { defineHooks, implement } from '../../src/task.ts';
import { createTestApp, expectIdempotent, runTask } from '../../src/testing.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const keep = defineTask({ name: 'keep', queue: 'mail', payload: v.any(), keepResultMs: 60_000 });
const kept = implement(keep, () => 1);
const redis = 'redis://127.0.0.1:1';

/** Calls with what TypeScript would refuse. */
const call = (run: (given: never) => unknown, given: unknown) => async () => run(given as never);
const newProducer = (options: unknown) => createProducer(options as never).close();
const newApp = (options: object) => createTestApp({ tasks: [kept], ...options } as never);

describe('a public function refuses', () => {
  test.each<[string, () => unknown, string, string]>([
    ['createProducer()', call(newProducer, undefined), 'E_OPTIONS_INVALID', 'expected options, got undefined'],
    ['no redis', call(newProducer, {}), 'E_OPTIONS_INVALID', '`redis` is missing'],
    ['timeout', call(newProducer, { redis, timeout: 500 }), 'E_OPTIONS_INVALID', 'Did you mean "timeoutMs"?'],
    ...[1, 99, Number.NaN, Number.POSITIVE_INFINITY, '900', 3_600_001, null].map(
      (timeoutMs): [string, () => unknown, string, string] => [
        `timeoutMs ${inspect(timeoutMs)}`,
        call(newProducer, { redis, timeoutMs }),
        'E_OPTIONS_INVALID',
        '`timeoutMs`: expected an integer from 100 to 3600000',
      ],
    ),
    ...['', 'a b', 'a:b', '\ud800', 'x'.repeat(61), 5].map((prefix): [string, () => unknown, string, string] => [
      `prefix ${inspect(prefix)}`,
      call(newProducer, { redis, prefix }),
      'E_OPTIONS_INVALID',
      '`prefix`: expected 1 to 60 letters, digits, "-" or "_"',
    ]),
    ['an odd queue', call(bullmqQueue, 'a b'), 'E_OPTIONS_INVALID', 'The queue of bullmqQueue: expected'],
    ['an odd prefix', () => bullmqQueue('mail', { prefix: '' }), 'E_OPTIONS_INVALID', '`prefix`: expected'],
    ['no manifest', () => implement({} as never, () => 1 as never), 'E_OPTIONS_INVALID', 'The manifest of implement'],
    ['no code', call((given) => implement(keep, given), 'x'), 'E_OPTIONS_INVALID', 'The code of implement'],
    ['no hooks', call(defineHooks, {}), 'E_OPTIONS_INVALID', 'The hooks of defineHooks: expected a function'],
    ['lock', () => defineQueue({ name: 'a', stalledCheckMs: 2 ** 31 }), 'E_MANIFEST_INVALID', 'to 2147483647'],
    ['a list', () => defineQueue({ name: 'a', retention: [] as never }), 'E_MANIFEST_INVALID', 'expected an object'],
    ['startsAt', call(newApp, { startsAt: 5 }), 'E_TEST_INVALID', 'Did you mean "startAt"?'],
    ['fakes', call(newApp, { deps: 'x' }), 'E_TEST_INVALID', '`deps`: expected an object'],
    ['drain', call((given) => newApp({}).drain('mail', given), { delay: true }), 'E_TEST_INVALID', '"delayed"?'],
    ['enqueued', call((given) => newApp({}).enqueued(given), 'keep'), 'E_TEST_INVALID', "expected a task's manifest"],
    ['no task', call((given) => runTask(given, {}), keep), 'E_TEST_INVALID', 'expected what implement() returns'],
    ['signal', call((given) => runTask(kept, {}, given), { signal: {} }), 'E_TEST_INVALID', 'an AbortSignal'],
    ['attempts', call((given) => runTask(kept, {}, given), { attempts: 2 }), 'E_TEST_INVALID', '"attempt"?'],
    ['no effects', () => expectIdempotent(kept, {}, {} as never), 'E_TEST_INVALID', '`effects` is missing'],
  ])('%s', async (_, run, code, message) => {
    await expect(async () => run()).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

describe('a producer', () => {
  let place: RedisPlace;
  let producer: Producer;
  let unheard: unknown[];
  const hear = (error: unknown) => unheard.push(error);

  beforeEach(() => {
    unheard = [];
    process.on('unhandledRejection', hear);
    place = openRedisPlace();
    producer = createProducer({ redis: place.url, prefix: place.prefix });
  });

  afterEach(async () => {
    await producer.close();
    await place.close();
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
  });

  test.each([Number.POSITIVE_INFINITY, 2 ** 31, Number.NaN, -5, '900', null])('refuses to wait %s ms', async (ms) => {
    const handle = await producer.enqueue(keep, 1);
    await expect(handle.result({ timeoutMs: ms as never })).rejects.toMatchObject({
      code: 'E_OPTIONS_INVALID',
      message: expect.stringContaining('`timeoutMs`: expected an integer from 0 to 2147483647'),
    });
  });

  test('waits as long as a timer can', async () => {
    const handle = await producer.enqueue(keep, 1);
    const waiting = handle.result({ timeoutMs: 2_147_483_647 });
    const ended = waiting.catch((error) => error.code);
    expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100, 'waits'))])).toBe('waits');
    await producer.close();
    expect(await ended).toBe('E_PRODUCER_CLOSED');
  });

  test.each<[string, (given: Producer) => unknown, string, string]>([
    ['an option', (p) => p.enqueue(keep, 1, { delay: 5 } as never), 'E_ENQUEUE_OPTIONS_INVALID', '"delayMs"?'],
    ['a number', (p) => p.enqueue(keep, 1, 5 as never), 'E_ENQUEUE_OPTIONS_INVALID', 'expected options, got 5'],
    ['null', (p) => p.enqueue(keep, 1, null as never), 'E_ENQUEUE_OPTIONS_INVALID', 'expected options, got null'],
    ['a delay', (p) => p.enqueue(keep, 1, { delayMs: 2 ** 53 - 1 }), 'E_ENQUEUE_OPTIONS_INVALID', '`delayMs`'],
    ['half a character', (p) => p.enqueue(keep, 1, { id: 'a\ud800' }), 'E_ENQUEUE_OPTIONS_INVALID', '`id`: expected'],
    [
      'half a character of a key',
      (p) => p.enqueue(keep, 1, { dedupe: { key: '\udc00', mode: 'simple' } }),
      'E_ENQUEUE_OPTIONS_INVALID',
      '`key`: expected',
    ],
    [
      'no manifest',
      (p) => p.enqueue('keep' as never, 1 as never),
      'E_TASK_UNKNOWN',
      'expected a task\'s manifest, got "keep"',
    ],
    ['no list', (p) => p.enqueueMany(keep, {} as never), 'E_ENQUEUE_OPTIONS_INVALID', 'The items of enqueueMany'],
    [
      'a bad item behind a wrong payload',
      (p) => p.enqueueMany(keep, [{ payload: 1n }, null] as never),
      'E_ENQUEUE_OPTIONS_INVALID',
      'a list of objects { payload, ... }, got a list of 2',
    ],
    ['no id', (p) => p.cancel(undefined as never), 'E_OPTIONS_INVALID', 'The id of cancel: expected a text'],
    ['a reason', (p) => p.cancel('a', { reason: '\ud800' }), 'E_OPTIONS_INVALID', '`reason`: expected a string'],
    ['queues', (p) => p.cancel('a', { queues: 'a' } as never), 'E_OPTIONS_INVALID', 'Did you mean "queue"?'],
    ['a queue to count', (p) => p.counts('' as never), 'E_OPTIONS_INVALID', 'The queue of counts: expected'],
    ['a queue of workers', (p) => p.workers(5 as never), 'E_OPTIONS_INVALID', 'The queue of workers: expected'],
  ])('refuses %s', async (_, run, code, message) => {
    await expect(run(producer)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect(await producer.counts('mail')).toMatchObject({ waiting: 0, delayed: 0 });
  });

  test('never uses another database than that of its URL', async () => {
    const elsewhere = createProducer({ redis: `${new URL('/99', place.url)}`, prefix: place.prefix });
    for (const _ of [1, 2]) {
      await expect(elsewhere.enqueue(keep, 1)).rejects.toMatchObject({
        code: 'E_REDIS_REFUSED',
        message: expect.stringContaining('DB index is out of range'),
      });
    }
    await elsewhere.close();
    expect(await producer.counts('mail')).toMatchObject({ waiting: 0 });
  });
});

describe('the URL of a Redis', () => {
  test.each([
    'redis://h',
    'rediss://h:1/',
    'redis://:p%40w@[::1]:6379/15',
    'redis://u:p@h?family=6',
    'redis://u:p@w@h',
  ])('may be %s', (url) => createClient(url, {}).disconnect());

  test.each<[unknown, string]>([
    [undefined, 'it is undefined'],
    [5, 'it is a number'],
    ['', 'it begins with something else'],
    ['redis:u:secret5b@h', 'it begins with something else'],
    ['redis//u:secret5b@h', 'it begins with something else'],
    ['http://u:secret5b@h', 'it begins with something else'],
    ['redis://u:secret5b', 'its host or port cannot be read'],
    ['redis://u:secret5b/x@h', 'its host or port cannot be read'],
    ['redis://u:1/secret5b@h', 'is not the number of a database'],
    ['redis://u:1?secret5b@h', 'it has a parameter'],
    ['redis://h/abc', 'is not the number of a database'],
    ['redis://h/1/2', 'is not the number of a database'],
    ['redis://h?foo=bar', 'it has a parameter'],
    ['redis://h#secret5b', 'it has a "#"'],
    ['redis://u:secret5b%zz@h', 'is not written as %25'],
    ['redis://:secret5b@/0', 'cannot be read'],
    ['redis:///0', 'it names no host'],
    ['redis://u:secret 5b@h', 'it has white space'],
  ])('may not be %j, and is not shown', (url, problem) => {
    const thrown = (() => {
      try {
        return createProducer({ redis: url as string });
      } catch (error) {
        return error;
      }
    })();
    if (url === undefined) return expect(thrown).toMatchObject({ code: 'E_OPTIONS_INVALID' });
    expect(thrown).toMatchObject({ code: 'E_REDIS_URL_INVALID', message: expect.stringContaining(problem) });
    expect(inspect(thrown)).not.toContain('secret');
  });
});
