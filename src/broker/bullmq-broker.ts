import type { Redis } from 'ioredis';
import type { Broker } from './broker.ts';
import { connectOnce, createClient, describeRedis, explainRedisError, openAnother } from './connection.ts';
import { QueueConsumer } from './consumer.ts';
import { type Guard, type GuardOptions, startGuard } from './guard.ts';
import { cancelChannel } from './keys.ts';
import { checkRedisSettings } from './redis-settings.ts';
import { createSender } from './send.ts';

export interface BrokerOptions {
  redis: string;
  prefix: string;
  /** A name that no two living workers share, promised by the operator: its last holder is dead. Default: none. */
  slot?: string;
  /** Keeps the locks of a blocked event loop, and ends the process after `maxBlockMs`. Default: off. */
  guard?: Omit<GuardOptions, 'redis'>;
  /** Start also on a Redis that may drop jobs when it is full. Default: false. */
  allowEviction?: boolean;
  /** Say nothing of a Redis that loses all jobs when it restarts, as in development. Default: false. */
  mayForget?: boolean;
  /** What the operator has to know of this Redis, once at the start. */
  onNotice?(notice: string): void;
  /** The connection is lost, or back after so many milliseconds; once per outage. */
  onConnection?(event: { lost: true } | { lost: false; downMs: number }): void;
}

/** How long the start waits for Redis before it gives up. */
const connectLimitMs = 5_000;

/** Tells when the connection is lost and when it is back; until then commands wait, and are sent then. */
function watchConnection(client: Redis, report: BrokerOptions['onConnection'], onBack: () => void): void {
  let lostAt: number | undefined;
  client.on('close', () => {
    if (lostAt !== undefined) return;
    lostAt = performance.now();
    report?.({ lost: true });
  });
  client.on('ready', () => {
    if (lostAt === undefined) return;
    report?.({ lost: false, downMs: Math.round(performance.now() - lostAt) });
    lostAt = undefined;
    onBack();
  });
}

/** Connects to Redis as a worker does. Throws `E_REDIS_UNREACHABLE`, `E_REDIS_REFUSED` or `E_REDIS_EVICTS`. */
export async function connectBroker(options: BrokerOptions): Promise<Broker> {
  const { redis: url, prefix, slot, onConnection } = options;
  const client = createClient(url, {
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(times * 100, 1_000),
    // After a failover the old master says so: the new one is found by connecting again, and the command is repeated.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  });
  await connectOnce(client, url, connectLimitMs);
  client.on('error', () => {});
  try {
    for (const notice of await checkRedisSettings(client, url, options)) options.onNotice?.(notice);
  } catch (error) {
    client.disconnect();
    throw error;
  }
  const consumers = new Map<string, QueueConsumer>();
  const onBack = () => {
    for (const consumer of consumers.values()) consumer.onReconnect();
  };
  watchConnection(client, onConnection, onBack);
  const subscriber = openAnother(client);
  watchConnection(subscriber, undefined, onBack);
  subscriber.on('message', (channel: string, jobId: string) => consumers.get(channel)?.cancels.told(jobId));
  const guard: Guard | undefined = options.guard && startGuard({ redis: url, ...options.guard });
  const sender = createSender(client, prefix);
  return {
    description: describeRedis(url),
    async consume(consumeOptions) {
      const channel = cancelChannel(prefix, consumeOptions.queue.name);
      try {
        await subscriber.subscribe(channel);
        const consumer = await QueueConsumer.open({ client, prefix, guard, slot }, consumeOptions);
        consumers.set(channel, consumer);
        return consumer;
      } catch (error) {
        throw explainRedisError(url, error);
      }
    },
    send: (jobs) => sender.send(jobs),
    exitBy: (epochMs) => guard?.exitBy(epochMs) ?? epochMs,
    async recoverDead() {
      // What cannot be had now, a successor or the stalled check finds.
      await Promise.allSettled([...consumers.values()].map((consumer) => consumer.recoverDead()));
    },
    async close() {
      if (client.status === 'ready') await sender.close();
      client.removeAllListeners('close');
      client.disconnect();
      subscriber.disconnect();
      await guard?.close();
    },
  };
}
