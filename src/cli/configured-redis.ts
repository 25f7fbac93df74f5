import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';

export interface OpenRedis {
  url: string;
  /** One line for people that says which Redis was chosen. */
  notice?: string;
  close(): Promise<void>;
}

/** Opens the configured Redis. Throws `E_REDIS_MISSING`; `more` is one more way to name a Redis. */
export function openConfiguredRedis({ redis }: IsletConfig, more = ''): OpenRedis {
  if (redis.url) return { url: redis.url, close: async () => {} };
  throw new IsletError('E_REDIS_MISSING', `No Redis is configured. Set REDIS_URL, or redis.url in config/${more}.`);
}
