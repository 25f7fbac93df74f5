import { type QueueBaseOptions, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { scriptSha } from './bullmq-internals.ts';
import { bullmqQueue } from './keys.ts';
import type { QueueHandle } from './queue-handle.ts';

/** BullMQ's scripts for one queue, over the connection of a handle, which stays open when this is closed. */
export class QueueBackend extends RedisQueueBackend {
  protected readonly redis: Redis;

  constructor({ client, prefix, name: queue }: QueueHandle, options: QueueBaseOptions) {
    // With its version check, BullMQ would print what `checkRedisSettings` has said.
    const connection = new RedisConnection(client, { shared: true, blocking: false, skipVersionCheck: true });
    const { name } = bullmqQueue(queue);
    const keys = new QueueKeys(prefix);
    super(connection, name, keys.getKeys(name), (type) => keys.toKey(name, type), options);
    this.redis = client;
  }

  /** Returns the hash by which Redis knows one of these scripts, once BullMQ has defined it. */
  protected shaOf(script: string): string | undefined {
    return scriptSha(this.redis, `${script}:${this.version}`);
  }
}
