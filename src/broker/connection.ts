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

/** How long a connection may take to open, and then to give its first answer. */
const openLimitMs = 3_000;

/** Opens a client that has not connected yet. Throws `E_REDIS_URL_INVALID`. */
export function createClient(url: string, options: RedisOptions): Redis {
  checkUrl(url);
  return limitFirstAnswer(new TurnRedis(url, { lazyConnect: true, connectTimeout: openLimitMs, ...options }));
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
  OOM: 'Raise its maxmemory, or make room.',
  READONLY: 'Point REDIS_URL to the primary.',
  LOADING: 'Wait until it has loaded its data.',
  MISCONF: 'See why it cannot save to disk.',
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

/**
 * Connects, or throws what Redis said: a worker that cannot reach Redis at its start is a deploy that fails.
 * An error event is kept, because ioredis reports a refused password or database there and goes on.
 */
export async function connectOnce(client: Redis, url: string, limitMs: number): Promise<void> {
  let last: unknown;
  const remember = (error: unknown) => {
    last = error;
  };
  client.on('error', remember);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(last ?? new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([client.connect().then(() => client.ping()), late]);
    if (last) throw last;
  } catch (error) {
    client.disconnect();
    throw explainRedisError(url, last ?? error);
  } finally {
    clearTimeout(timer);
    client.off('error', remember);
  }
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
