import type { IsletConfig } from '../config.ts';
import { IsletError } from '../errors.ts';
import { attachDevRedis } from '../tools/dev-redis/dev-redis.ts';
import { findConfiguredRedis, type OpenRedis, redisMissing } from './configured-redis.ts';

/**
 * Opens the configured Redis or, where `--dev-redis` asks for it outside of production, the project's private one. Built
 * workers know only the configured one, and do not load this module.
 */
export async function openRedis(config: IsletConfig, devRedis: boolean, path: string | undefined): Promise<OpenRedis> {
  if (devRedis && config.env === 'production') {
    throw new IsletError('E_DEV_REDIS_REFUSED', '--dev-redis is not for production (NODE_ENV). Set REDIS_URL instead.');
  }
  const configured = findConfiguredRedis(config);
  if (configured) return configured;
  if (devRedis) return attachDevRedis({ root: process.cwd(), path });
  throw redisMissing(', or give --dev-redis in development');
}
