import { type QueueBaseOptions, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { scriptSha } from './bullmq-internals.ts';
import { CommandTemplate, type Hole } from './command-template.ts';
import { bullmqQueue } from './keys.ts';
import type { QueueHandle } from './queue-handle.ts';

/** The arguments of EVALSHA behind the hash: the number of keys, the keys, and what the script takes. */
type ScriptCall = { args: readonly (string | number | Buffer)[]; holes: readonly Hole[] };

/** BullMQ's scripts for one queue, over the connection of a handle, which stays open when this is closed. */
export class QueueBackend extends RedisQueueBackend {
  protected readonly redis: Redis;
  readonly #templates = new Map<string, CommandTemplate>();

  constructor({ client, prefix, name: queue }: QueueHandle, options: QueueBaseOptions) {
    // With its version check, BullMQ would print what `checkRedisSettings` has said.
    const connection = new RedisConnection(client, { shared: true, blocking: false, skipVersionCheck: true });
    const { name } = bullmqQueue(queue);
    const keys = new QueueKeys(prefix);
    super(connection, name, keys.getKeys(name), (type) => keys.toKey(name, type), options);
    this.redis = client;
  }

  /** Returns the template of all calls of one kind, made at the first; undefined before BullMQ has defined the script. */
  protected templateOf(kind: string, script: string, first: () => ScriptCall): CommandTemplate | undefined {
    const known = this.#templates.get(kind);
    const sha = known ? undefined : scriptSha(this.redis, `${script}:${this.version}`);
    if (sha === undefined) return known;
    const { args, holes } = first();
    const template = new CommandTemplate('evalsha', [sha, ...args], holes);
    this.#templates.set(kind, template);
    return template;
  }
}
