import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findRedisServer, type RedisServer } from '../../src/tools/dev-redis/find-redis.ts';
import { freePort, hasEnded, redisReady } from '../../src/tools/dev-redis/redis-child.ts';
import { keepTrack } from './children.ts';

/** The run's own Redis, which keeps its port, password and data through its deaths. */
export class RedisProcess {
  readonly url: string;
  readonly #server: RedisServer;
  readonly #folder: string;
  readonly #port: number;
  readonly #password: string;
  #child: ChildProcess | undefined;

  private constructor(server: RedisServer, folder: string, port: number) {
    this.#server = server;
    this.#folder = folder;
    this.#port = port;
    this.#password = randomBytes(24).toString('hex');
    this.url = `redis://:${this.#password}@127.0.0.1:${port}`;
  }

  /** Prepares a Redis with its data in the folder; `start` starts it. */
  static async create(folder: string): Promise<RedisProcess> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const server = await findRedisServer(process.cwd(), process.env.PATH);
    return new RedisProcess(server, folder, await freePort());
  }

  /** Starts it, with these settings on top, and waits until it answers. */
  async start(settings: readonly string[] = []): Promise<void> {
    // By file: arguments are visible to every user.
    const conf = join(this.#folder, 'redis.conf');
    writeFileSync(conf, this.#conf(settings), { mode: 0o600 });
    const child = keepTrack(spawn(this.#server.binary, [conf], { env: this.#server.env, stdio: 'ignore' }));
    child.on('error', () => {});
    this.#child = child;
    if (await redisReady(child, this.#port, this.#password)) return;
    throw new Error(`The Redis of the run did not start. Read ${join(this.#folder, 'redis.log')}.`);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Refuses all writes that need memory, until it is called with false. */
  async fill(full: boolean): Promise<void> {
    await this.ask((client) => client.config('SET', 'maxmemory', full ? '1' : '0'));
  }

  async dropConnections(): Promise<void> {
    await this.ask(async (client) => {
      await client.call('CLIENT', 'KILL', 'TYPE', 'normal');
      await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    });
  }

  /** On a connection of its own: one that is kept would be a victim of the faults, too. */
  async ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis(this.url, { lazyConnect: true, retryStrategy: (times) => (times < 10 ? 200 : null) });
    // Without a listener ioredis prints a failed connection itself; the question rejects anyway.
    client.on('error', () => {});
    try {
      await client.connect();
      return await question(client);
    } finally {
      client.disconnect();
    }
  }

  #conf(settings: readonly string[]): string {
    const lines = [
      'bind 127.0.0.1',
      `port ${this.#port}`,
      'protected-mode yes',
      `requirepass ${this.#password}`,
      `dir ${JSON.stringify(this.#folder)}`,
      `logfile ${JSON.stringify(join(this.#folder, 'redis.log'))}`,
      'appendonly yes',
      'appendfsync always',
      // A rewrite is done by a child, which would outlive a SIGKILL of its parent.
      'auto-aof-rewrite-percentage 0',
      'save ""',
      'maxmemory-policy noeviction',
      'daemonize no',
      ...settings,
    ];
    return `${lines.join('\n')}\n`;
  }
}
