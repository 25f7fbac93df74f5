import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis, RedisOptions } from 'ioredis';
import { hidePasswords, IsletError } from '../errors.ts';
import { TurnRedis } from './turn-redis.ts';

/** Where Redis is, for people: without its password. */
export function describeRedis(url: string): string {
  return hidePasswords(url);
}

function checkUrl(url: string): void {
  if (/^rediss?:\/\/\S+$/.test(url) && URL.canParse(url)) return;
  const seen = hidePasswords(String(url)).slice(0, 80);
  throw new IsletError('E_REDIS_URL_INVALID', `Expected a redis:// or rediss:// URL, got "${seen}". Fix REDIS_URL.`);
}

/** The rest before a Redis that loads its data is asked again. */
const loadingRestMs = 100;

/** How long a connection may take to open, and then to give its first answer. */
const openLimitMs = 3_000;

/** Opens a client that has not connected yet. Throws `E_REDIS_URL_INVALID`. */
export function createClient(url: string, options: RedisOptions): Redis {
  checkUrl(url);
  // Without the check of ioredis, a Redis that loads its data says so to the first command.
  const ours = { lazyConnect: true, connectTimeout: openLimitMs, enableReadyCheck: false };
  return limitFirstAnswer(new TurnRedis(url, { ...ours, ...options }));
}

/** Opens a second connection like this one. */
export function openAnother(client: Redis, options?: RedisOptions): Redis {
  const another = client.duplicate(options);
  // Without a listener ioredis prints each lost connection.
  another.on('error', () => {});
  return limitFirstAnswer(another);
}

/** Gives up a connection that somebody took and does not forward: ioredis waits for its first answer for ever. */
function limitFirstAnswer(client: Redis): Redis {
  client.on('connect', () => {
    const { stream } = client;
    const timer = setTimeout(() => stream.destroy(), openLimitMs);
    for (const event of ['data', 'close']) stream.once(event, () => clearTimeout(timer));
  });
  return client;
}

/** What to do about a refusal, by the word that it begins with. */
const refusals: Record<string, string> = {
  NOAUTH: 'Check the user and password in REDIS_URL.',
  WRONGPASS: 'Check the user and password in REDIS_URL.',
  NOPERM: "Give the user in REDIS_URL rights to the prefix's keys and channels.",
  DENIED: 'Set a password for it, or turn off its protected mode.',
  ERR: 'Check the user, password and database in REDIS_URL.',
  BUSY: 'End the script that it runs, with SCRIPT KILL.',
  CLUSTERDOWN: 'See what its CLUSTER INFO says.',
  OOM: 'Raise its maxmemory, or make room.',
  READONLY: 'Point REDIS_URL to the primary.',
  LOADING: 'Wait until it has loaded its data.',
  MASTERDOWN: 'Point REDIS_URL to the primary.',
  MISCONF: 'See why it cannot save to disk.',
  NOREPLICAS: 'See why its replicas are away.',
};

/** Names what Redis said against us in an error of ours: refused (it answered) or unreachable (it did not). */
export function explainRedisError(url: string, error: unknown): IsletError {
  const said = hidePasswords(error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
  const advice = refusals[/^[A-Z]+\b/.exec(said)?.[0] ?? ''];
  const place = `Redis at ${describeRedis(url)}`;
  if (advice) return new IsletError('E_REDIS_REFUSED', `${place} refused: ${said}. ${advice}`, { cause: error });
  const message = `${place} could not be reached: ${said}. Check REDIS_URL, and that Redis runs.`;
  return new IsletError('E_REDIS_UNREACHABLE', message, { cause: error });
}

/** Waits for an answer. A Redis that started just now may still load its data: it is asked again. */
async function untilLoaded(client: Redis, onLoading: (error: unknown) => void): Promise<void> {
  for (;;) {
    try {
      await client.ping();
      return;
    } catch (error) {
      if (!/^LOADING\b/.test((error as Error).message)) throw error;
      onLoading(error);
      await sleep(loadingRestMs);
    }
  }
}

/**
 * Connects, or throws what Redis said: a worker that cannot reach Redis at its start is a deploy that fails.
 * An error event is kept, because ioredis reports a refused password or database there and goes on.
 */
export async function connectOnce(client: Redis, url: string, limitMs: number): Promise<void> {
  let last: unknown;
  let loading: unknown;
  const remember = (error: unknown) => {
    last = error;
  };
  const opened = async () => {
    await client.connect();
    await untilLoaded(client, (error) => {
      loading = error;
    });
  };
  client.on('error', remember);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(last ?? loading ?? new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([opened(), late]);
    if (last) throw last;
  } catch (error) {
    client.disconnect();
    throw explainRedisError(url, last ?? error);
  } finally {
    clearTimeout(timer);
    client.off('error', remember);
  }
}

/** Whether Redis says that it is not, or not yet, the one that takes writes: a replica, or busy loading its data. */
export function isNoPrimary(error: unknown): boolean {
  return error instanceof Error && /^(READONLY|LOADING|MASTERDOWN|UNBLOCKED)\b/.test(error.message);
}

/** Creates what connects again, at most once a second, while Redis says that: the new primary is found by it. */
export function findPrimary(): (error: Error) => boolean {
  let soughtAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (!isNoPrimary(error) || performance.now() - soughtAt < 1_000) return false;
    soughtAt = performance.now();
    return true;
  };
}

const lossCodes = [
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
];
const lossMessages = ['Connection is closed.', 'Command aborted due to connection close'];

/** Whether this is no refusal, but the loss of a connection, of which its owner is told once. */
export function isConnectionLoss(error: unknown): boolean {
  const { code, message, name } = (error ?? {}) as { code?: unknown; message?: unknown; name?: unknown };
  if (name === 'MaxRetriesPerRequestError') return true;
  return lossCodes.includes(String(code)) || lossMessages.includes(String(message));
}
