import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRedisServer, type RedisServer } from '../../src/tools/dev-redis/find-redis.ts';
import { freePort, hasEnded, redisReady } from '../../src/tools/dev-redis/redis-child.ts';
import { keepTrack } from '../chaos/children.ts';
import { makeTempFolder, removeTempFolder } from './temp-folder.ts';

export interface Store {
  readonly url: string;
  close(): Promise<void>;
}

let found: Promise<RedisServer> | undefined;

export function findRedis(): Promise<RedisServer> {
  found ??= findRedisServer(process.cwd(), process.env.PATH);
  return found;
}

/** Starts an empty Redis without persistence: what is measured is the worker, and no run meets what another left. */
export async function startRedis(): Promise<Store> {
  const server = await findRedis();
  const folder = makeTempFolder('redis');
  const port = await freePort();
  const password = randomBytes(24).toString('hex');
  const file = join(folder, 'redis.conf');
  // By file: arguments are visible to every user.
  writeFileSync(file, conf(folder, port, password), { mode: 0o600 });
  const child = keepTrack(spawn(server.binary, [file], { env: server.env, stdio: 'ignore' }));
  child.on('error', () => {});
  if (!(await redisReady(child, port, password))) throw new Error('The Redis of the benchmark did not start.');
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    async close() {
      const ended = once(child, 'exit');
      if (!hasEnded(child)) {
        child.kill('SIGKILL');
        await ended;
      }
      removeTempFolder(folder);
    },
  };
}

function conf(folder: string, port: number, password: string): string {
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    'protected-mode yes',
    `requirepass ${password}`,
    `dir ${JSON.stringify(folder)}`,
    `logfile ${JSON.stringify(join(folder, 'redis.log'))}`,
    'appendonly no',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
  ];
  return `${lines.join('\n')}\n`;
}
