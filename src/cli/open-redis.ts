import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';
import { type OpenRedis, openConfiguredRedis } from './configured-redis.ts';

/**
 * Opens the configured Redis or, where `--dev-redis` asks for it outside of production, the project's private one, whose
 * code is loaded only then. A built worker opens the configured one without this file: it carries no development Redis.
 */
export async function openRedis(config: IsletConfig, devRedis: boolean, path?: string): Promise<OpenRedis> {
  if (devRedis && config.env === 'production') {
    throw new IsletError('E_DEV_REDIS_REFUSED', '--dev-redis is not for production (NODE_ENV). Set REDIS_URL instead.');
  }
  if (!devRedis || config.redis.url) return openConfiguredRedis(config, ', or give --dev-redis in development');
  return borrowRedis(path);
}

/** Borrows the project's private Redis, and starts it where it does not run. */
export async function borrowRedis(path?: string): Promise<OpenRedis> {
  return (await import('../tools/dev-redis/dev-redis.ts')).attachDevRedis({ root: process.cwd(), path });
}
