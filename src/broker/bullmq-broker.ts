import { hidePasswords } from '../errors.ts';
import type { Guard } from '../guard/guard.ts';
import type { Broker } from './broker.ts';
import { explainRedisError, openAnother } from './connection.ts';
import { QueueConsumer } from './consumer.ts';
import { QueueHandle } from './queue-handle.ts';
import { checkRedisSettings } from './redis-settings.ts';
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

/** Connects to Redis as a worker does. Throws `E_REDIS_UNREACHABLE`, `E_REDIS_REFUSED` or `E_REDIS_EVICTS`. */
export async function connectBroker(options: BrokerOptions): Promise<Broker> {
  const { redis: url, prefix, slot, guard, onConnection, onNotice } = options;
  /** The consumers by the channels on which jobs of theirs are cancelled. */
  const consumers = new Map<string, QueueConsumer>();
  const onBack = () => {
    for (const consumer of consumers.values()) consumer.onReconnect();
  };
  const connection = new WorkerConnection(url, prefix, (event) => {
    onConnection?.(event);
    if (!event.lost) onBack();
  });
  const { client } = connection;
  await connection.open();
  try {
    for (const notice of await checkRedisSettings(client, url, options)) onNotice?.(notice);
  } catch (error) {
    client.disconnect();
    throw error;
  }
  const subscriber = openAnother(client);
  subscriber.on('ready', onBack);
  subscriber.on('message', (channel: string, jobId: string) => consumers.get(channel)?.onCancel(jobId));
  const sender = new Sender(client, prefix);
  return {
    description: hidePasswords(url),
    async consume(consumeOptions) {
      const queue = new QueueHandle(client, prefix, consumeOptions.queue.name);
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
