import type { IsletConfig } from '../config.ts';
import { attachDevRedis } from '../dev-redis/dev-redis.ts';
import { IsletError } from '../errors.ts';

export interface OpenRedis {
  url: string;
  /** One line that says what was chosen. */
  notice: string | undefined;
  close(): Promise<void>;
}

/** Takes the configured Redis; else, where asked for and not in production, the project's private one. */
export async function openRedis(config: IsletConfig, devRedis: boolean, path: string | undefined): Promise<OpenRedis> {
  if (devRedis && config.env === 'production') {
    throw new IsletError('E_DEV_REDIS_REFUSED', '--dev-redis is not for production (NODE_ENV). Set REDIS_URL instead.');
  }
  if (config.redis.url) return { url: config.redis.url, notice: undefined, close: async () => {} };
  if (devRedis) return attachDevRedis({ root: process.cwd(), path });
  const ways = 'Set REDIS_URL, or redis.url in config/, or give --dev-redis in development.';
  throw new IsletError('E_REDIS_MISSING', `No Redis is configured. ${ways}`);
}
