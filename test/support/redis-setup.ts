import { attachDevRedis } from '../../src/tools/dev-redis/dev-redis.ts';

/** Lends the tests the project's private Redis, by the code that lends it to developers. */
export default async function setUp() {
  const redis = await attachDevRedis({ root: process.cwd(), path: process.env.PATH });
  process.env.TEST_REDIS_URL = redis.url;
  return () => redis.close();
}
