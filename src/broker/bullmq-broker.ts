import { type Guard, type GuardOptions, startGuard } from '../guard/guard.ts';
import type { Broker } from './broker.ts';
import { describeRedis, explainRedisError, openAnother } from './connection.ts';
import { QueueConsumer } from './consumer.ts';
import { cancelChannel } from './keys.ts';
import { checkRedisSettings } from './redis-settings.ts';
import { createSender } from './send.ts';
import { type ConnectionEvent, WorkerConnection } from './worker-connection.ts';

export interface BrokerOptions {
  redis: string;
  prefix: string;
  /** A name that no two living workers share, promised by the operator: its last holder is dead. Default: none. */
  slot?: string;
  /** Keeps the locks of a blocked event loop, and ends the process after `maxBlockMs`. Default: off. */
  guard?: Omit<GuardOptions, 'redis' | 'thread'>;
  /** Start also on a Redis that may drop jobs when it is full. Default: false. */
  allowEviction?: boolean;
  /** Say nothing of a Redis that loses all jobs when it restarts, as in development. Default: false. */
  mayForget?: boolean;
  /** What the operator has to know of this Redis, once at the start. */
  onNotice?(notice: string): void;
  /** An outage begins or is over. */
  onConnection?(event: ConnectionEvent): void;
}

const guardThread = new URL('./guard-thread.js', import.meta.url);

/** Connects to Redis as a worker does. Throws `E_REDIS_UNREACHABLE`, `E_REDIS_REFUSED` or `E_REDIS_EVICTS`. */
export async function connectBroker(options: BrokerOptions): Promise<Broker> {
  const { redis: url, prefix, slot } = options;
  const consumers = new Map<string, QueueConsumer>();
  const onBack = () => {
    for (const consumer of consumers.values()) consumer.onReconnect();
  };
  const connection = new WorkerConnection({
    ...{ url, prefix },
    onChange(event) {
      options.onConnection?.(event);
      if (!event.lost) onBack();
    },
  });
  const { client } = connection;
  await connection.open();
  try {
    for (const notice of await checkRedisSettings(client, url, options)) options.onNotice?.(notice);
  } catch (error) {
    client.disconnect();
    throw error;
  }
  const subscriber = openAnother(client);
  // The workers ask for what was told meanwhile.
  subscriber.on('ready', onBack);
  subscriber.on('message', (channel: string, jobId: string) => consumers.get(channel)?.cancels.told(jobId));
  const guard: Guard | undefined = options.guard && startGuard({ redis: url, thread: guardThread, ...options.guard });
  const sender = createSender(client, prefix);
  return {
    description: describeRedis(url),
    async consume(consumeOptions) {
      const channel = cancelChannel(prefix, consumeOptions.queue.name);
      try {
        await subscriber.subscribe(channel);
        const consumer = await QueueConsumer.open({ client, prefix, guard, slot }, consumeOptions);
        consumers.set(channel, consumer);
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
      if (client.status === 'ready') await sender.close();
      connection.close();
      subscriber.disconnect();
      await guard?.close();
    },
  };
}
