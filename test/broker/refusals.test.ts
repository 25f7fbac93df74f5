import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explainRedisError, isPassing, mayBeDone } from '../../src/broker/refusals.ts';
import { IsletError } from '../../src/errors.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { createProducer, type Producer } from '../../src/producer.ts';
import { demoted, type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts';

const url = 'redis://:secret@127.0.0.1:6379';
const payload = v.object({});
const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload });

const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });

describe('what Redis answers is a refusal, with a code and advice', () => {
  test.each([
    ['NOAUTH Authentication required.', 'E_REDIS_DENIED', 'Check the user and password in REDIS_URL.'],
    ['WRONGPASS invalid username-password pair.', 'E_REDIS_DENIED', 'Check the user and password in REDIS_URL.'],
    ["NOPERM this user has no permissions to run the 'xadd' command", 'E_REDIS_DENIED', 'Give the user in REDIS_URL'],
    ["ERR The user executing the script can't run this command", 'E_REDIS_DENIED', 'Give the user in REDIS_URL'],
    ['OOM command not allowed when used memory > maxmemory.', 'E_REDIS_FULL', 'Raise its maxmemory, or make room.'],
    ['ERR max number of clients reached', 'E_REDIS_FULL', 'Raise its maxclients, or close connections'],
    ['LOADING Redis is loading the dataset in memory', 'E_REDIS_NOT_READY', 'Wait until it has loaded its data.'],
    ['BUSY Redis is busy running a script.', 'E_REDIS_NOT_READY', 'Wait for the script that it runs'],
    ["READONLY You can't write against a read only replica.", 'E_REDIS_NOT_READY', 'Point REDIS_URL to the primary.'],
    ['MASTERDOWN Link with MASTER is down', 'E_REDIS_NOT_READY', 'Point REDIS_URL to the primary.'],
    ['CLUSTERDOWN Hash slot not served', 'E_REDIS_NOT_READY', 'See what its CLUSTER INFO says.'],
    ['MOVED 1234 127.0.0.1:7001', 'E_REDIS_CLUSTERED', 'name a Redis, or a proxy, that has all keys.'],
    ['ASK 1234 127.0.0.1:7001', 'E_REDIS_CLUSTERED', 'name a Redis, or a proxy, that has all keys.'],
    ['WRONGTYPE Operation against a key', 'E_REDIS_REFUSED', 'See what its documentation says of that.'],
  ])('%s', (said, code, advice) => {
    const error = explainRedisError(url, reply(said));
    expect(error.code).toBe(code);
    expect(error.message).toContain(`Redis at redis://***@127.0.0.1:6379 refused: ${said.replace(/\.$/, '')}. `);
    expect(error.message).toContain(advice);
    expect(mayBeDone(reply(said))).toBe(false);
    expect(isPassing(reply(said))).toBe(code === 'E_REDIS_NOT_READY');
  });

  test('of a transaction, what it said of the command that it refused', () => {
    const previousErrors = [reply('OOM command not allowed')];
    const discarded = Object.assign(reply('EXECABORT Transaction discarded.'), { previousErrors });
    expect(explainRedisError(url, discarded)).toMatchObject({ code: 'E_REDIS_FULL' });
  });

  test('what was not answered may be done, unless it was not sent', () => {
    expect(mayBeDone(new Error('Connection is closed.'))).toBe(true);
    expect(mayBeDone(new Error("Stream isn't writeable and enableOfflineQueue options is false"))).toBe(false);
    expect(mayBeDone(new IsletError('E_REDIS_UNREACHABLE', 'away'))).toBe(false);
  });
});

describe('an enqueue to a Redis', () => {
  let redis: PrivateRedis;
  let producer: Producer;

  beforeEach(async () => {
    redis = await startPrivateRedis();
    producer = createProducer({ redis: redis.server.url });
  });

  afterEach(async () => {
    await producer.close();
    await redis.close();
  });

  const ask = (...command: [string, ...(string | number)[]]) => redis.server.ask((client) => client.call(...command));
  const enqueue = (id?: string) => producer.enqueue(sendEmail, {}, id === undefined ? {} : { id });
  const waiting = async () => (await producer.counts('mail')).waiting;

  test('that forgets its scripts again and again takes every job', async () => {
    await enqueue();
    const flusher = new Redis(redis.server.url);
    let over = false;
    const flushing = (async () => {
      while (!over) await flusher.script('FLUSH', 'SYNC');
    })();
    const sent = await Promise.allSettled([
      ...Array.from({ length: 200 }, () => enqueue()),
      ...Array.from({ length: 50 }, (_, n) => enqueue(`own-${n}`)),
      producer.enqueueMany(
        sendEmail,
        Array.from({ length: 300 }, () => ({ payload: {} })),
      ),
    ]);
    over = true;
    await flushing;
    flusher.disconnect();
    expect(sent.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(await waiting()).toBe(551);
  });

  test('that is full is refused', async () => {
    await enqueue();
    await redis.server.fill(true);
    await expect(enqueue()).rejects.toMatchObject({ code: 'E_REDIS_FULL' });
    await expect(enqueue('own')).rejects.toMatchObject({ code: 'E_REDIS_FULL' });
    const many = producer.enqueueMany(sendEmail, [{ payload: {} }, { payload: {} }]);
    await expect(many).rejects.toMatchObject({ code: 'E_REDIS_FULL', jobs: { uncertain: [], accepted: [] } });
    await redis.server.fill(false);
    expect(await enqueue('own')).toMatchObject({ accepted: true });
  });

  test('that takes no more connections is refused, and says so', async () => {
    const busy = new Redis(redis.server.url);
    await busy.config('SET', 'maxclients', 1);
    for (let n = 0; n < 3; n++) {
      const late = createProducer({ redis: redis.server.url, timeoutMs: 200 });
      await expect(late.enqueue(sendEmail, {})).rejects.toMatchObject({
        code: 'E_REDIS_FULL',
        message: expect.stringContaining('max number of clients reached. Raise its maxclients'),
      });
      await late.close();
    }
    busy.disconnect();
  });

  test.each(['-hmset', '-xadd', '-zadd'])(
    'by a user who lacks a right (%s) is refused, and not half in',
    async (right) => {
      await ask('ACL', 'SETUSER', 'web', 'on', '>secret', '~*', '&*', '+@all', right);
      const web = createProducer({ redis: redis.server.url.replace(/\/\/.*@/, '//web:secret@') });
      await expect(web.enqueue(sendEmail, {}, { id: 'own' })).rejects.toMatchObject({ code: 'E_REDIS_DENIED' });
      await expect(web.enqueue(sendEmail, {})).rejects.toMatchObject({ code: 'E_REDIS_DENIED' });
      await web.close();
      expect(await waiting()).toBe(0);
      expect(await enqueue('own')).toMatchObject({ accepted: true });
      expect(await waiting()).toBe(1);
    },
  );

  test('that is a replica is refused after its time, and taken if the primary is back before', async () => {
    await enqueue();
    await redis.demote(true);
    await expect(enqueue()).rejects.toMatchObject({ code: 'E_REDIS_NOT_READY' });
    const late = enqueue();
    await sleep(300);
    await redis.demote(false);
    expect(await late).toMatchObject({ accepted: true });
  });

  test('that is busy with a script is taken when the script is over', async () => {
    await enqueue();
    await ask('CONFIG', 'SET', 'busy-reply-threshold', 50);
    const [busy, killer] = [new Redis(redis.server.url), new Redis(redis.server.url)];
    await killer.ping();
    const script = busy.eval('while true do end', 0).catch(() => {});
    await sleep(200);
    const late = enqueue();
    await sleep(200);
    await killer.call('SCRIPT', 'KILL');
    await script;
    for (const client of [busy, killer]) client.disconnect();
    expect(await late).toMatchObject({ accepted: true });
  });

  test('that comes back waits for it, whenever it begins', async () => {
    await enqueue();
    await redis.server.kill();
    const patient = createProducer({ redis: redis.server.url, timeoutMs: 5_000 });
    const starting = sleep(500).then(() => redis.server.start());
    const sent = await Promise.allSettled(
      Array.from({ length: 12 }, async (_, n) => {
        await sleep(n * 50);
        return patient.enqueue(sendEmail, {});
      }),
    );
    await starting;
    await patient.close();
    expect(sent.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 'fulfilled'));
  });

  test('that is a node of a cluster, and does not have the slot, is refused', async () => {
    await redis.server.kill();
    await redis.server.start(['cluster-enabled yes', 'cluster-require-full-coverage no']);
    const late = createProducer({ redis: redis.server.url, timeoutMs: 300 });
    await expect(late.enqueue(sendEmail, {})).rejects.toMatchObject({ code: 'E_REDIS_NOT_READY' });
    await late.close();
  });

  test('that starts as a replica is refused, and nothing may be in', async () => {
    await redis.server.kill();
    await redis.server.start([demoted]);
    const many = producer.enqueueMany(sendEmail, [{ payload: {} }, { payload: {} }]);
    await expect(many).rejects.toMatchObject({ code: 'E_REDIS_NOT_READY', jobs: { uncertain: [] } });
  });
});
