import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis, RedisOptions } from 'ioredis';
import { IsletError } from '../errors.ts';
import { findUrlProblem } from '../redis-place.ts';
import { answerOf, explainRedisError, isAnswer } from './refusals.ts';
import { TurnRedis } from './turn-redis.ts';

const loadingRestMs = 100;
/** What Redis says to a connection for which it has no room, before it closes it. */
const noRoom = 'ERR max number of clients reached';

/** How long a connection may take to open, and then again to give its first answer. */
const openLimitMs = 3_000;

/** Creates a client that has not connected yet. Throws `E_REDIS_URL_INVALID`. */
export function createClient(url: string, options: RedisOptions): Redis {
  const problem = findUrlProblem(url);
  if (problem) {
    const form = 'redis://[user:password@]host[:port][/database], or the same with rediss://';
    throw new IsletError(
      'E_REDIS_URL_INVALID',
      `The URL of Redis is not of the form ${form}: ${problem}. Fix REDIS_URL.`,
    );
  }
  // Without ioredis's own check, a Redis that loads its data says so to the first command. By itself, ioredis would
  // subscribe again with promises that nobody handles: a connection that is lost meanwhile would end the process.
  const ours = { lazyConnect: true, connectTimeout: openLimitMs, enableReadyCheck: false, autoResubscribe: false };
  return prepare(new TurnRedis(url, { ...ours, ...options, replyMapping: 'legacy' }));
}

export function openAnother(client: Redis, options?: RedisOptions): Redis {
  return prepare(client.duplicate(options));
}

function prepare(client: Redis): Redis {
  // Without a listener ioredis prints each lost connection.
  client.on('error', () => {});
  // A middleman may take a connection and not forward it: ioredis would wait for the first answer for ever.
  client.on('connect', () => {
    const { stream } = client;
    const timer = setTimeout(() => stream.destroy(), openLimitMs);
    for (const event of ['data', 'close']) stream.once(event, () => clearTimeout(timer));
    // ioredis waits for answers to all that it has sent, and forgets this one when the connection is closed.
    stream.once('data', (chunk: Buffer) => {
      if (chunk.toString('latin1', 0, noRoom.length + 1) === `-${noRoom}`) client.emit('error', answerOf(noRoom));
    });
  });
  return client;
}

/** Rejects after `limitMs`. The work goes on, and a late failure of it is not an unhandled rejection. */
export function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
    work.then(resolve, reject).then(() => clearTimeout(timer));
  });
}

/** Waits for an answer. A Redis that started just now may still load its data, and is asked again. */
async function untilLoaded(client: Redis, lastLookAt: number): Promise<void> {
  await client.ping().catch(async (error: Error) => {
    if (!/^LOADING\b/.test(error.message) || performance.now() > lastLookAt) throw error;
    await sleep(loadingRestMs);
    await untilLoaded(client, lastLookAt);
  });
}

/** Waits for an open connection, or throws what Redis said: ioredis tells of a refused password only by an event. */
export async function untilOpened(client: Redis, url: string, limitMs: number, opened: Promise<unknown>) {
  let last: unknown;
  let ofThisOne: unknown;
  const remember = (error: unknown) => {
    // A refused connection is closed, and what was still to be sent then says only that.
    if (!isAnswer(last) || isAnswer(error)) last = error;
    ofThisOne = error;
  };
  // What was said of connections before this one is over.
  const forget = () => {
    ofThisOne = undefined;
  };
  client.on('error', remember).on('connect', forget);
  try {
    await within(opened, limitMs);
    if (ofThisOne) throw ofThisOne;
  } catch (error) {
    throw explainRedisError(url, last ?? error);
  } finally {
    client.off('error', remember).off('connect', forget);
  }
}

/** Connects, or throws what Redis said: a worker that cannot reach Redis at its start is a deploy that fails. */
export async function connectOnce(client: Redis, url: string, limitMs: number): Promise<void> {
  const lastLookAt = performance.now() + limitMs - loadingRestMs;
  const opened = client.connect().then(() => untilLoaded(client, lastLookAt));
  try {
    await untilOpened(client, url, limitMs, opened);
  } catch (error) {
    client.disconnect();
    throw error;
  }
}

/** Tells whether Redis says that it takes no writes, or not yet: it is a replica, or busy loading its data. */
export function isNoPrimary(error: unknown): boolean {
  return error instanceof Error && /^(READONLY|LOADING|MASTERDOWN|UNBLOCKED)\b/.test(error.message);
}

/** Creates what lets a client connect again, at most once a second, to find the new primary while Redis says that. */
export function findPrimary(): (error: Error) => boolean {
  let soughtAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (!isNoPrimary(error) || performance.now() - soughtAt < 1_000) return false;
    soughtAt = performance.now();
    return true;
  };
}

const lossCodes =
  /^(ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
const lossMessages = ['Connection is closed.', 'Command aborted due to connection close'];

/** Tells whether a connection was lost, which is no refusal: its owner hears of it once. */
export function isConnectionLoss(error: unknown): boolean {
  const { code, message, name } = (error ?? {}) as { code?: unknown; message?: unknown; name?: unknown };
  if (name === 'MaxRetriesPerRequestError') return true;
  return lossCodes.test(String(code)) || lossMessages.includes(String(message));
}
