import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { RedisProcess } from '../../lab/kit/redis.ts';

/** A Redis of one test's own, which can be killed, started again with its data, frozen, filled and set up. */
export interface PrivateRedis {
  readonly server: RedisProcess;
  /** Where its data is; the test may put files of its own beside them. */
  readonly folder: string;
  /** Makes it a replica, of a primary that is not there: it takes no writes, until it is called with false. */
  demote(demoted: boolean): Promise<void>;
  /** Kills it and starts it again with these settings: it loads for more than a second. Resolves when it has. */
  loadAgain(...settings: string[]): Promise<void>;
  /** Kills it, in whatever state, and removes the folder. */
  close(): Promise<void>;
}

/** The primary of one that is demoted from its start on: nobody listens there. */
export const demoted = 'replicaof 127.0.0.1 1';

/** Each key takes 20 ms to load; meanwhile Redis answers, and says that it loads. */
const slowLoad = ['key-load-delay 20000', 'loading-process-events-interval-bytes 1024'];
const keysToLoad = 60;
/** Redis answers once in so many bytes that it loads. */
const filling = 'x'.repeat(1_200);

/** Writes what takes long to load into the file that Redis loads first. */
async function fillToLoad(server: RedisProcess): Promise<void> {
  await server.ask(async (client) => {
    await client.config('SET', 'rdbcompression', 'no');
    await client.mset(Array.from({ length: keysToLoad }, (_, index) => [`filling-${index}`, filling]).flat());
    await client.bgrewriteaof();
    // A child writes it, which would outlive Redis.
    const isWritten = async () => /aof_rewrite_in_progress:0/.test(await client.info('persistence'));
    await vi.waitUntil(isWritten, { timeout: 5_000, interval: 20 });
  });
}

export async function startPrivateRedis(): Promise<PrivateRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'islet-test-redis-'));
  const server = await RedisProcess.create(folder);
  const close = async () => {
    await server.kill();
    await rm(folder, { recursive: true, force: true });
  };
  await server.start().catch(async (error) => {
    await close();
    throw error;
  });
  return {
    server,
    folder,
    async demote(isDemoted) {
      const primary = isDemoted ? ['127.0.0.1', '1'] : ['NO', 'ONE'];
      await server.ask((client) => client.call('REPLICAOF', ...primary));
    },
    async loadAgain(...settings) {
      await fillToLoad(server);
      await server.kill();
      await server.start([...slowLoad, ...settings]);
    },
    close,
  };
}
