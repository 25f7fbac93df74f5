import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findRedisServer, type RedisServer } from '../../src/tools/dev-redis/find-redis.ts';
import { freePort, redisReady } from '../../src/tools/dev-redis/redis-child.ts';
import { Child } from './child.ts';
import { makeTempFolder, removeTempFolder } from './temp-folder.ts';

/** What becomes of the data when Redis is killed: every confirmed write stays, or nothing does. */
export type Persistence = 'durable' | 'none';

const persistenceSettings: Record<Persistence, readonly string[]> = {
  durable: [
    'appendonly yes',
    'appendfsync always',
    // A rewrite is done by a child, which would outlive a SIGKILL of its parent.
    'auto-aof-rewrite-percentage 0',
    'save ""',
  ],
  none: ['appendonly no', 'save ""'],
};

let found: Promise<RedisServer> | undefined;

/** Finds a redis-server, once for all that this process starts. */
export function findRedis(): Promise<RedisServer> {
  found ??= findRedisServer(process.cwd(), process.env.PATH);
  return found;
}

/** Starts an empty Redis that writes nothing to disk, so that it costs little and no run meets what another one left. */
export async function startEmptyRedis(): Promise<{ url: string; close(): Promise<void> }> {
  const folder = makeTempFolder('lab-redis');
  const redis = await RedisProcess.create(folder, 'none');
  const close = async () => {
    await redis.kill();
    removeTempFolder(folder);
  };
  await redis.start();
  return { url: redis.url, close };
}

/** A Redis of the run's own, which keeps its port and password through its deaths, and, where asked, its data. */
export class RedisProcess {
  readonly url: string;
  readonly #server: RedisServer;
  readonly #folder: string;
  readonly #port: number;
  readonly #password: string;
  readonly #persistence: Persistence;
  #child: Child | undefined;

  private constructor(server: RedisServer, folder: string, port: number, persistence: Persistence) {
    this.#server = server;
    this.#folder = folder;
    this.#port = port;
    this.#persistence = persistence;
    this.#password = randomBytes(24).toString('hex');
    this.url = `redis://:${this.#password}@127.0.0.1:${port}`;
  }

  /** Prepares a Redis whose files stand in the folder; `start` starts it. */
  static async create(folder: string, persistence: Persistence = 'durable'): Promise<RedisProcess> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new RedisProcess(await findRedis(), folder, await freePort(), persistence);
  }

  /** Starts Redis, with these settings on top, and waits until it answers. */
  async start(settings: readonly string[] = []): Promise<void> {
    // By file: arguments are visible to every user.
    const conf = join(this.#folder, 'redis.conf');
    writeFileSync(conf, this.#conf(settings), { mode: 0o600 });
    const { binary, env } = this.#server;
    this.#child = new Child({ program: binary, args: [conf], env, stdio: 'ignore' });
    if (await redisReady(this.#child.process, this.#port, this.#password)) return;
    throw new Error(`The Redis of the run did not start. Read ${join(this.#folder, 'redis.log')}.`);
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#child?.exited;
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Makes Redis refuse all writes that need memory, until this is called with false. */
  async fill(full: boolean): Promise<void> {
    await this.ask((client) => client.config('SET', 'maxmemory', full ? '1' : '0'));
  }

  async dropConnections(): Promise<void> {
    await this.ask(async (client) => {
      await client.call('CLIENT', 'KILL', 'TYPE', 'normal');
      await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    });
  }

  /** Asks on a connection of its own: one that is kept would be a victim of the faults, too. */
  ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    return askRedis(this.url, question, { reconnects: 9 });
  }

  #conf(settings: readonly string[]): string {
    const lines = [
      'bind 127.0.0.1',
      `port ${this.#port}`,
      'protected-mode yes',
      `requirepass ${this.#password}`,
      `dir ${JSON.stringify(this.#folder)}`,
      `logfile ${JSON.stringify(join(this.#folder, 'redis.log'))}`,
      ...persistenceSettings[this.#persistence],
      'maxmemory-policy noeviction',
      'daemonize no',
      ...settings,
    ];
    return `${lines.join('\n')}\n`;
  }
}

const reconnectPauseMs = 200;

/** Opens a connection for one question, and closes it again. */
export async function askRedis<T>(
  url: string,
  question: (client: Redis) => Promise<T>,
  { reconnects }: { reconnects: number },
): Promise<T> {
  const retryStrategy = (times: number) => (times <= reconnects ? reconnectPauseMs : null);
  const client = new Redis(url, { lazyConnect: true, retryStrategy });
  // Without a listener ioredis prints a failed connection itself; the question rejects anyway.
  client.on('error', () => {});
  try {
    await client.connect();
    return await question(client);
  } finally {
    client.disconnect();
  }
}
