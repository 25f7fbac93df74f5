import type { Redis } from 'ioredis';
import { hidePasswords } from '../errors.ts';
import type { Guard } from '../guard/guard.ts';
import type { Broker } from './broker.ts';
import { openAnother } from './connection.ts';
import { QueueConsumer } from './consumer.ts';
import { placeOf } from './keys.ts';
import { QueueHandle } from './queue-handle.ts';
import { RedisClock } from './redis-clock.ts';
import { checkRedisSettings } from './redis-settings.ts';
import { explainRedisError } from './refusals.ts';
import { Sender } from './send.ts';
import { type ConnectionEvent, WorkerConnection } from './worker-connection.ts';

export interface BrokerOptions {
  redis: string;
  prefix: string;
  /** A name that no two living workers share, promised by the operator: its last holder is dead. Default: none. */
  slot?: string;
  /** Keeps the locks of a blocked event loop. Default: none. */
  guard?: Guard | undefined;
  /** Starts also on a Redis that may drop jobs when it is full. Default: false. */
  allowEviction?: boolean;
  /** Says nothing of a Redis that loses all jobs when it restarts, as in development. Default: false. */
  mayForget?: boolean;
  onNotice?(notice: string): void;
  onConnection?(event: ConnectionEvent): void;
}

/** Checks the settings and the clock of Redis. Disconnects when a worker may not start on it. */
async function checkRedis(client: Redis, clock: RedisClock, options: BrokerOptions): Promise<void> {
  try {
    const notices = await checkRedisSettings(client, options.redis, options);
    await clock.measure();
    for (const notice of [...notices, clock.describeSkew()]) if (notice !== undefined) options.onNotice?.(notice);
  } catch (error) {
    client.disconnect();
    throw error;
  }
}

/** Subscribes again after a connection was lost. What was told meanwhile has to be looked for then. */
async function hearAgain(subscriber: Redis, channels: readonly string[]): Promise<void> {
  if (channels.length > 0) await subscriber.subscribe(...channels);
}

/** Connects to Redis as a worker does. Throws `E_REDIS_UNREACHABLE`, `E_REDIS_REFUSED` or `E_REDIS_EVICTS`. */
export async function connectBroker(options: BrokerOptions): Promise<Broker> {
  const { redis: url, prefix, slot, guard, onConnection } = options;
  /** The consumers by the channels on which jobs of theirs are cancelled. */
  const consumers = new Map<string, QueueConsumer>();
  const onBack = () => {
    for (const consumer of consumers.values()) consumer.onReconnect();
  };
  const connection = new WorkerConnection(url, prefix, {
    onChange(event) {
      onConnection?.(event);
      if (!event.lost) onBack();
    },
    onLasting(error) {
      for (const consumer of consumers.values()) consumer.giveUp(error);
    },
  });
  const { client } = connection;
  const clock = new RedisClock(client);
  await connection.open();
  await checkRedis(client, clock, options);
  const subscriber = openAnother(client);
  subscriber.on('ready', () => void hearAgain(subscriber, [...consumers.keys()]).then(onBack, () => {}));
  for (const one of [client, subscriber]) {
    one.on('error', (error) => {
      for (const consumer of consumers.values()) consumer.onConnectionError(error);
    });
  }
  subscriber.on('message', (channel: string, jobId: string) => consumers.get(channel)?.onCancel(jobId));
  const sender = new Sender(client, prefix, clock);
  return {
    description: hidePasswords(url),
    async consume(consumeOptions) {
      const queue = new QueueHandle(client, placeOf(consumeOptions.queue, prefix), clock);
      try {
        await subscriber.subscribe(queue.cancelChannel);
        const consumer = await QueueConsumer.open({ queue, options: consumeOptions, guard, slot });
        consumers.set(queue.cancelChannel, consumer);
        connection.waitOut();
        return consumer;
      } catch (error) {
        throw explainRedisError(url, error);
      }
    },
    now: () => clock.now(),
    send: (jobs) => sender.send(jobs),
    exitBy: (epochMs) => guard?.exitBy(epochMs) ?? epochMs,
    async recoverDead() {
      // A successor or the stalled check finds what cannot be had now.
      await Promise.allSettled([...consumers.values()].map((consumer) => consumer.recoverDead()));
    },
    async close() {
      connection.close();
      subscriber.disconnect();
    },
  };
}
