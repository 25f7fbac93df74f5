import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';

export interface OpenRedis {
  url: string;
  /** One line that says what was chosen. */
  notice: string | undefined;
  close(): Promise<void>;
}

/** The Redis that the configuration names, if it names one. */
export function findConfiguredRedis({ redis }: IsletConfig): OpenRedis | undefined {
  return redis.url ? { url: redis.url, notice: undefined, close: async () => {} } : undefined;
}

/** What is thrown when nothing says where Redis is. `more` is one more way to say it. */
export function redisMissing(more = ''): IsletError {
  return new IsletError('E_REDIS_MISSING', `No Redis is configured. Set REDIS_URL, or redis.url in config/${more}.`);
}
