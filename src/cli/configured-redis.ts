import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';

export interface OpenRedis {
  url: string;
  /** One line for people that says which Redis was chosen. */
  notice: string | undefined;
  close(): Promise<void>;
}

/** Returns the Redis that the configuration names, if it names one. */
export function findConfiguredRedis({ redis }: IsletConfig): OpenRedis | undefined {
  return redis.url ? { url: redis.url, notice: undefined, close: async () => {} } : undefined;
}

/** Creates the error for a worker that is not told where Redis is. `more` names one more way to tell it. */
export function redisMissing(more = ''): IsletError {
  return new IsletError('E_REDIS_MISSING', `No Redis is configured. Set REDIS_URL, or redis.url in config/${more}.`);
}
