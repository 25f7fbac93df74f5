import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { channelOf, ownKeyNames, placeOf, queueKey } from '../../src/broker/keys.ts';
import { memoryFields } from '../../src/broker/memory.ts';
import { bullmqQueue } from '../../src/producer.ts';
import manifest from '../fixtures/outage/queues/outage/manifest.ts';
import { fixtureApp, type IsletProcess, killAll, startIslet, within } from '../support/islet-process.ts';
import { demoted, type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const queue = 'outage';
const prefix = 'test';
/** From the return of Redis to the end of a job that comes then. */
const goOnLimitMs = 5_000;
const graceMs = 500;
/** From the end of the grace to the end of the process. */
const exitLimitMs = 2_000;
const clean = { code: 0, signal: null };
const away = { msg: 'Redis is away: running jobs go on, their outcomes are held' };
const back = { msg: 'Redis is back' };

let redis: PrivateRedis;

beforeEach(async () => {
  redis = await startPrivateRedis();
});

afterEach(async () => {
  await killAll();
  await redis.close();
});

test('a Redis that is killed and started again: what ended meanwhile is completed, and nothing runs twice', async () => {
  const worker = await startWorker();
  const [short, long] = [await enqueue(10, 1_000), await enqueue(10, 4_000)];
  const jobs = await started([...short, ...long]);
  await redis.server.kill();
  await sleep(2_000);
  expect(ledger('end')).toEqual(short.toSorted());
  await redis.server.start();
  await goesOn(worker);
  await completedOnce([worker], jobs);
  expect(worker.lines(away)).toHaveLength(1);
  expect(worker.lines(back)).toHaveLength(1);
});

test('a Redis that is killed amid many short jobs: each of them runs once', async () => {
  const worker = await startWorker();
  const jobs = await enqueue(600, 20);
  await vi.waitFor(() => expect(ledger('end').length).toBeGreaterThan(100), { timeout: 5_000, interval: 10 });
  await redis.server.kill();
  expect(ledger('end').length).toBeLessThan(jobs.length);
  await redis.server.start();
  await goesOn(worker);
  await completedOnce([worker], jobs);
});

test('a Redis that is frozen for longer than the locks: nothing runs twice, on two workers', async () => {
  const workers = await Promise.all([startWorker(['--concurrency', '12']), startWorker(['--concurrency', '12'])]);
  const [short, long] = [await enqueue(10, 1_500), await enqueue(10, 10_000)];
  const jobs = await started([...short, ...long]);
  redis.server.freeze();
  await sleep(8_000);
  expect(ledger('end')).toEqual(short.toSorted());
  redis.server.thaw();
  await goesOn(...workers);
  await completedOnce(workers, jobs);
});

test('a Redis that is full: running jobs end, their outcomes are held, none is lost, and the log is short', async () => {
  const worker = await startWorker(['--concurrency', '10']);
  const held = await enqueue(5, 1_000, { islet: { keepResultMs: 60_000 } });
  const jobs = [...held, ...(await enqueue(5, 4_000)), ...(await enqueue(10, 100))];
  await started(jobs.slice(0, 10));
  await redis.server.fill(true);
  await sleep(3_000);
  expect(ledger('end')).toEqual(expect.arrayContaining(held));
  expect(await results(held)).toBe(0);
  await redis.server.fill(false);
  await goesOn(worker);
  await completedOnce([worker], jobs);
  expect(await results(held)).toBe(held.length);
  expect(worker.lines({ msg: 'Broker trouble' }).length).toBeLessThanOrEqual(3);
});

test('a Redis that refuses all writes, and a lock that ran out: the outcome is held, and the job runs once', async () => {
  const worker = await startWorker();
  const jobs = await started(await enqueue(1, 500));
  await redis.server.ask(async (client) => {
    const lock = `${queueKey(placeOf({ name: queue }, prefix), String(jobs[0]))}:lock`;
    await client.multi().del(lock).config('SET', 'min-replicas-to-write', 1).exec();
    await vi.waitFor(() => expect(ledger('end')).toEqual(jobs), { timeout: 5_000, interval: 20 });
    await sleep(1_500);
    await client.config('SET', 'min-replicas-to-write', 0);
  });
  await goesOn(worker);
  await completedOnce([worker], jobs);
  expect(worker.lines({ msg: 'Broker trouble' })).toHaveLength(1);
});

describe('a Redis that takes no writes for a while, because it', () => {
  test.each([
    ['is made a replica', () => redis.demote(true), expect.stringMatching(/^READONLY/)],
    ['comes back loading its data, and as a replica', () => redis.loadAgain(demoted), undefined],
  ])('%s: one outage in the log, no hurry to connect, and nothing runs twice', async (_, breakRedis, reason) => {
    const worker = await startWorker();
    const [short, long] = [await enqueue(10, 500), await enqueue(10, 7_000)];
    const jobs = await started([...short, ...long]);
    const brokenAt = Date.now();
    await breakRedis();
    const connectedBefore = await connected();
    await sleep(2_000);
    expect(ledger('end')).toEqual(short.toSorted());
    // Two connections of the worker try, and this question needs one.
    expect((await connected()) - connectedBefore).toBeLessThan(8);
    await redis.demote(false);
    const lastedMs = Date.now() - brokenAt;
    await goesOn(worker);
    await completedOnce([worker], jobs);
    expect(worker.lines(away).map(({ reason: told }) => told)).toEqual([reason]);
    expect(worker.lines(back)).toHaveLength(1);
    expect(Math.abs(Number(worker.lines(back)[0]?.downMs) - lastedMs)).toBeLessThan(1_500);
    expect(worker.lines({ msg: 'Broker trouble' })).toEqual([]);
    expect(worker.stderr()).toBe('');
  });

  test('is a replica: a worker that starts then ends, and says what Redis said', async () => {
    await redis.demote(true);
    expect(await refusal(launch())).toMatch(/^E_REDIS_NOT_READY: .*READONLY .*Point REDIS_URL to the primary/);
  });
});

test('a worker that starts on a full Redis ends, and says what Redis said', async () => {
  await redis.server.fill(true);
  const said = await refusal(launch());
  expect(said).toMatch(/^E_REDIS_FULL: .*OOM command not allowed/);
  expect(said).not.toContain('password');
});

test('a worker whose user may not subscribe ends, and says what Redis said', async () => {
  const url = await addUser('~*', '+@all');
  expect(await refusal(launch([], url))).toMatch(/^E_REDIS_DENIED: .*NOPERM/);
});

describe.each([
  ['down', () => redis.server.kill(), () => redis.server.start()],
  ['frozen', async () => redis.server.freeze(), async () => redis.server.thaw()],
  ['full', () => redis.server.fill(true), () => redis.server.fill(false)],
])('on SIGTERM while Redis is %s', (_, breakRedis, mend) => {
  test('an idle worker ends in time', async () => {
    const worker = await startWorker();
    await breakRedis();
    await endsInTime(worker);
  });

  test.each([[[]], [['--processes', '1']]])('an idle worker needs no grace: %j', async (flags) => {
    const worker = await startWorker(['--graceful-timeout', '30s', ...flags]);
    await breakRedis();
    const askedAt = Date.now();
    expect(await worker.stop()).toEqual(clean);
    expect(Date.now() - askedAt).toBeLessThan(exitLimitMs);
  });

  test('a worker with a running job ends in time, and the next one runs the job', async () => {
    const worker = await startWorker();
    const jobs = await started(await enqueue(1, 6_000));
    await breakRedis();
    await endsInTime(worker);
    await mend();
    await startWorker();
    await vi.waitFor(() => expect(ledger('start')).toEqual([...jobs, ...jobs]), { timeout: 10_000, interval: 20 });
  });

  test('a worker whose event loop is blocked is ended in time', async () => {
    const worker = await startWorker();
    await started(await enqueue(1, 20_000, {}, { blocks: true }));
    await breakRedis();
    await endsInTime(worker, { code: null, signal: 'SIGKILL' });
  });
});

test('on SIGTERM while its start waits for Redis, a worker needs no grace', async () => {
  const silent = createServer();
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const worker = launch(['--graceful-timeout', '30s'], `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  try {
    await once(silent, 'connection');
    const askedAt = Date.now();
    expect(await worker.stop()).toEqual(clean);
    expect(Date.now() - askedAt).toBeLessThan(exitLimitMs);
  } finally {
    silent.close();
  }
});

test('on SIGTERM while Redis is down, a worker ends soon after its return, long before the deadline', async () => {
  const worker = await startWorker(['--graceful-timeout', '30s']);
  const jobs = await started(await enqueue(5, 300));
  await redis.server.kill();
  await vi.waitFor(() => expect(ledger('end')).toHaveLength(jobs.length), { timeout: 5_000, interval: 20 });
  worker.kill('SIGTERM');
  await worker.line({ msg: 'Draining' });
  await redis.server.start();
  expect(await within(worker.exited, goOnLimitMs, 'the end')).toEqual(clean);
  await completedOnce([worker], jobs);
});

describe('all connections are dropped', () => {
  test('with replies on their way: the jobs in them are not lost, and each runs once', async () => {
    const worker = await startWorker();
    const jobs = await enqueue(600, 20);
    await vi.waitFor(() => expect(ledger('end').length).toBeGreaterThan(100), { timeout: 5_000, interval: 10 });
    await redis.server.ask(async (client) => {
      redis.server.freeze();
      // All that ran has ended: the commands that settle it, and fetch the next jobs, lie before Redis.
      await vi.waitFor(() => expect(ledger('end')).toEqual(ledger('start')), { timeout: 5_000, interval: 50 });
      expect(ledger('end').length).toBeLessThan(jobs.length);
      const dropped = Promise.all(['normal', 'pubsub'].map((type) => client.call('CLIENT', 'KILL', 'TYPE', type)));
      redis.server.thaw();
      await dropped;
    });
    const backAt = Date.now();
    await goesOn(worker);
    await completedOnce([worker], jobs);
    // Sooner than by their locks, which run out.
    expect(Date.now() - backAt).toBeLessThan(goOnLimitMs);
  });

  test('jobs go on, none runs twice, and a cancel arrives afterwards', async () => {
    const worker = await startWorker();
    const [victim = ''] = await enqueue(1, 60_000);
    const jobs = await enqueue(10, 1_500);
    await started([victim, ...jobs]);
    await redis.server.dropConnections();
    await goesOn(worker);
    await vi.waitFor(async () => expect(await redis.server.ask((client) => cancel(client, victim))).toBe(1));
    await worker.outcome(victim, 'cancelled');
    await completedOnce([worker], jobs);
    expect(worker.lines(away)).toHaveLength(1);
    expect(worker.lines(back)).toHaveLength(1);
  });

  test('a cancel that nobody heard meanwhile is honoured', async () => {
    const worker = await startWorker();
    const jobs = await started(await enqueue(1, 60_000));
    const heard = await redis.server.ask(async (client) => {
      await client.multi({ pipeline: false });
      await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await cancel(client, String(jobs[0]));
      return (await client.exec())?.at(-1);
    });
    expect(heard).toEqual([null, 0]);
    await worker.outcome(jobs[0], 'cancelled');
  });
});

describe('the connection on which a worker waits for jobs is dropped', () => {
  test('and refused for a while: the next job starts soon after that', async () => {
    const worker = await startWorker();
    await redis.server.ask(async (client) => {
      await client.config('SET', 'maxclients', 1);
      await dropWait(client);
      // It is refused again and again meanwhile.
      await sleep(2_000);
      await client.config('SET', 'maxclients', 100);
    });
    await goesOn(worker);
  });

  test('without Redis knowing: a job whose mark goes to the lost wait starts soon, too', async () => {
    const worker = await startWorker();
    await redis.server.ask(async (client) => {
      // It stands for the lost wait, and is the first in line.
      const lost = client.duplicate();
      try {
        const mark = lost.bzpopmin(queueKey(placeOf({ name: queue }, prefix), 'marker'), 0);
        await vi.waitFor(async () => expect(await waits(client)).toHaveLength(2));
        await dropWait(client);
        await vi.waitFor(async () => expect(await waits(client)).toHaveLength(2));
        await goesOn(worker);
        expect(await mark).not.toBeNull();
      } finally {
        lost.disconnect();
      }
    });
  });
});

test('new connections that are taken but not forwarded for a while: jobs go on soon after that', async () => {
  const proxy = await startTcpProxy(redis.server.url);
  try {
    const worker = await startWorker([], proxy.url);
    proxy.mute();
    await sleep(1_000);
    proxy.forward();
    await goesOn(worker);
  } finally {
    proxy.close();
  }
});

test('a cancel that comes with the first start of a worker is honoured', async () => {
  const [job = ''] = await enqueue(1, 60_000);
  const client = new Redis(redis.server.url);
  const broker = await connectBroker({ redis: redis.server.url, prefix });
  const reason = await new Promise((resolve, reject) => {
    const run = async ({ abort }: Delivery): Promise<Outcome> => {
      abort.signal.addEventListener('abort', () => resolve(abort.signal.reason));
      await cancel(client, job);
      return new Promise(() => {});
    };
    const ignored = { onTrouble() {}, onRecovered() {}, onDead() {} };
    broker.consume({ queue: manifest, concurrency: 1, run, ...ignored }).then((consumer) => consumer.start(), reject);
    AbortSignal.timeout(2_000).addEventListener('abort', () => resolve('not aborted'));
  });
  client.disconnect();
  await broker.close();
  expect(reason).toMatchObject({ code: 'E_JOB_CANCELLED' });
});

describe('the settings of Redis at the start', () => {
  const set = (name: string, value: string) => redis.server.ask((client) => client.config('SET', name, value));
  const settings = { msg: 'Redis settings' };

  test('a worker refuses a Redis that evicts', async () => {
    await set('maxmemory-policy', 'allkeys-lru');
    const said = await refusal(launch());
    const where = `redis://***@${new URL(redis.server.url).host}`;
    const what = `Redis at ${where} has maxmemory-policy "allkeys-lru": it drops jobs when it is full.`;
    const advice = 'Set it to noeviction, or start with --allow-eviction.';
    expect(said).toBe(`E_REDIS_EVICTS: ${what} ${advice}\n`);
  });

  test('--allow-eviction starts it, with one warning', async () => {
    await set('maxmemory-policy', 'allkeys-lru');
    const worker = await startWorker(['--allow-eviction']);
    expect(worker.lines(settings)).toMatchObject([{ level: 40, notice: expect.stringContaining('allkeys-lru') }]);
  });

  test('a Redis that hides them is said once', async () => {
    const worker = await startWorker([], await addUser('~*', '&*', '+@all', '-config'));
    expect(worker.lines(settings)).toMatchObject([{ level: 40, notice: expect.stringContaining('hides') }]);
  });

  test('a Redis that does not persist is said once, in production', async () => {
    await set('appendonly', 'no');
    const worker = await startWorker();
    expect(worker.lines(settings)).toMatchObject([{ level: 40, notice: expect.stringContaining('does not persist') }]);
  });
});

const ledgerFile = () => join(redis.folder, 'ledger');

/** The jobs that wrote such a line, sorted, once for each line. */
function ledger(verb: 'start' | 'end'): string[] {
  if (!existsSync(ledgerFile())) return [];
  const lines = readFileSync(ledgerFile(), 'utf8').split('\n');
  return lines.flatMap((line) => (line.startsWith(`${verb} `) ? [line.slice(verb.length + 1)] : [])).toSorted();
}

function launch(flags: string[] = [], url = redis.server.url): IsletProcess {
  const env = {
    NODE_ENV: 'production',
    REDIS_URL: url,
    REDIS_PREFIX: prefix,
    LEDGER_FILE: ledgerFile(),
    WORKER_GRACEFUL_TIMEOUT: String(graceMs),
  };
  return startIslet(['worker', '--queue', queue, ...flags], { cwd: fixtureApp('outage'), env });
}

async function startWorker(flags: string[] = [], url?: string): Promise<IsletProcess> {
  const worker = launch(flags, url);
  await worker.line({ msg: 'Worker ready' });
  return worker;
}

/** Waits for the end of a worker that cannot start, and returns what it tells people: no stack. */
async function refusal(worker: IsletProcess): Promise<string> {
  expect(await within(worker.exited, 10_000, 'the end')).toEqual({ code: 1, signal: null });
  expect(worker.stderr()).not.toMatch(/\n\s+at /);
  return worker.stderr();
}

/** Adds a user with these rights, and returns the URL with which it connects. */
async function addUser(...rights: string[]): Promise<string> {
  await redis.server.ask((client) => client.call('ACL', 'SETUSER', 'worker', 'on', '>secret', ...rights));
  return redis.server.url.replace(/\/\/.*@/, '//worker:secret@');
}

/** Asks Redis on a connection of its own, as a plain BullMQ program. */
function askQueue<T>(question: (plain: Queue) => Promise<T>): Promise<T> {
  const place = bullmqQueue(queue, { prefix });
  return redis.server.ask(async (client) => {
    const plain = new Queue(place.name, { prefix: place.prefix, connection: client });
    return question(plain).finally(() => plain.close());
  });
}

/** Adds so many jobs that last so long, and returns their ids. */
async function enqueue(count: number, ms: number, opts: object = {}, data: object = {}): Promise<string[]> {
  const jobs = Array.from({ length: count }, () => ({ name: 'linger', data: { ms, ...data }, opts }));
  return (await askQueue((plain) => plain.addBulk(jobs))).map(({ id }) => String(id));
}

/** Waits until the jobs' code runs. */
async function started(jobs: string[]): Promise<string[]> {
  await vi.waitFor(() => expect(ledger('start')).toEqual(jobs.toSorted()), { timeout: 5_000, interval: 20 });
  return jobs;
}

/** The connections that wait for a job, by their names; a worker's has one. */
async function waits(client: Redis): Promise<{ id: string; name: string }[]> {
  const list = String(await client.call('CLIENT', 'LIST'));
  return [...list.matchAll(/^id=(\d+) .* name=(\S*) .* cmd=bzpopmin /gm)].map(([, id = '', name = '']) => ({
    id,
    name,
  }));
}

/** Drops the connection on which the worker waits for a job, once it does. */
async function dropWait(client: Redis): Promise<void> {
  const find = async () => (await waits(client)).find(({ name }) => name !== '')?.id ?? expect.fail('no worker waits');
  await client.call('CLIENT', 'KILL', 'ID', await vi.waitFor(find));
}

/** A job that comes after the outage is completed in time, by one of them. */
async function goesOn(...workers: IsletProcess[]): Promise<void> {
  const returnedAt = Date.now();
  const [job] = await enqueue(1, 0);
  await Promise.any(workers.map((worker) => worker.outcome(job, 'completed')));
  expect(Date.now() - returnedAt).toBeLessThan(goOnLimitMs);
}

/** How many connections this Redis has taken so far. */
async function connected(): Promise<number> {
  const stats = await redis.server.ask((client) => client.info('stats'));
  return Number(/total_connections_received:(\d+)/.exec(stats)?.[1]);
}

/** How many of the jobs have their result stored. */
function results(jobs: string[]): Promise<number> {
  return redis.server.ask((client) =>
    client.exists(jobs.map((id) => queueKey(placeOf({ name: queue }, prefix), `result:${id}`))),
  );
}

/** Waits until nothing is left in the queue but what failed: each of the jobs ran once, and none of them failed. */
async function completedOnce(workers: IsletProcess[], jobs: string[]): Promise<void> {
  const states = ['waiting', 'active', 'delayed', 'prioritized'] as const;
  const left = () => askQueue(async (plain) => plain.getJobCountByTypes(...states));
  await vi.waitFor(async () => expect(await left()).toBe(0), { timeout: 10_000, interval: 50 });
  const of = (ids: string[]) => ids.filter((id) => jobs.includes(id));
  expect(of(ledger('start'))).toEqual(jobs.toSorted());
  expect(of(ledger('end'))).toEqual(jobs.toSorted());
  const ends = () => workers.flatMap((worker) => worker.lines({ msg: 'Job finished', outcome: 'completed' }));
  // What a worker has written arrives here in its own time.
  await vi.waitFor(() => expect(of(ends().map(({ jobId }) => String(jobId))).toSorted()).toEqual(jobs.toSorted()));
  const failed = await askQueue((plain) => plain.getFailed());
  expect(of(failed.map(({ id }) => String(id)))).toEqual([]);
}

/** Sends SIGTERM and waits for the end of the process. */
async function endsInTime(worker: IsletProcess, end: object = clean): Promise<void> {
  const askedAt = Date.now();
  expect(await worker.stop()).toEqual(end);
  // Beside other tests, the timers of both processes come late: the worker itself ends 1.8 s after its grace.
  expect(Date.now() - askedAt).toBeLessThan(graceMs + exitLimitMs + 500);
}

/** Cancels a job as a producer does, and returns how many workers heard of it. */
async function cancel(client: Redis, jobId: string): Promise<number> {
  await client.hset(queueKey(placeOf({ name: queue }, prefix), jobId), memoryFields.cancel, 'on request');
  return client.publish(channelOf(queueKey(placeOf({ name: queue }, prefix), ownKeyNames.cancel), 0), jobId);
}
