import { Redis, type RedisOptions } from 'ioredis';
import { hidePasswords, IsletError } from '../errors.ts';

/** Where Redis is, for people: without its password. */
export function describeRedis(url: string): string {
  return hidePasswords(url);
}

function checkUrl(url: string): void {
  if (/^rediss?:\/\/\S+$/.test(url) && URL.canParse(url)) return;
  const seen = hidePasswords(String(url)).slice(0, 80);
  throw new IsletError('E_REDIS_URL_INVALID', `Expected a redis:// or rediss:// URL, got "${seen}". Fix REDIS_URL.`);
}

/** Opens a client that has not connected yet. Throws `E_REDIS_URL_INVALID`. */
export function createClient(url: string, options: RedisOptions): Redis {
  checkUrl(url);
  return new Redis(url, { lazyConnect: true, ...options });
}

/** Names what Redis said against us in an error of ours: refused (it answered) or unreachable (it did not). */
export function explainRedisError(url: string, error: unknown): IsletError {
  const said = hidePasswords(error instanceof Error ? error.message : String(error));
  const refused = /^(NOAUTH|WRONGPASS|NOPERM|ERR|READONLY|LOADING|MISCONF|OOM|DENIED)\b/.test(said);
  const code = refused ? 'E_REDIS_REFUSED' : 'E_REDIS_UNREACHABLE';
  const what = refused ? 'refused' : 'could not be reached';
  const advice = refused
    ? 'Check the user, password and database in REDIS_URL.'
    : 'Check REDIS_URL, and that Redis runs.';
  return new IsletError(code, `Redis at ${describeRedis(url)} ${what}: ${said}. ${advice}`, { cause: error });
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
