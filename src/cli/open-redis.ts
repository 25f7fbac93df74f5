import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';

export interface OpenRedis {
  url: string;
  /** One line for people that says which Redis was chosen. */
  notice?: string;
  close(): Promise<void>;
}

/**
 * Opens the configured Redis or, where `--dev-redis` asks for it outside of production, the project's private one, whose
 * code is loaded only then. Built workers have no such flag.
 */
export async function openRedis(config: IsletConfig, devRedis?: boolean, path?: string): Promise<OpenRedis> {
  if (devRedis && config.env === 'production') {
    throw new IsletError('E_DEV_REDIS_REFUSED', '--dev-redis is not for production (NODE_ENV). Set REDIS_URL instead.');
  }
  if (config.redis.url) return { url: config.redis.url, close: async () => {} };
  if (devRedis) return (await import('../tools/dev-redis/dev-redis.ts')).attachDevRedis({ root: process.cwd(), path });
  const more = devRedis === undefined ? '' : ', or give --dev-redis in development';
  throw new IsletError('E_REDIS_MISSING', `No Redis is configured. Set REDIS_URL, or redis.url in config/${more}.`);
}
