import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RedisProcess } from '../../chaos/redis-process.ts';

/** A Redis of one test's own, which can be killed, started again with its data, frozen, filled and set up. */
export interface PrivateRedis {
  readonly server: RedisProcess;
  /** Where its data is; the test may put files of its own beside them. */
  readonly folder: string;
  /** Kills it, in whatever state, and removes the folder. */
  close(): Promise<void>;
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
  return { server, folder, close };
}
