import { defaultPrefix } from '../broker/keys.ts';
import { ProducerConnection } from '../broker/producer-connection.ts';
import { openProducer, type Producer } from './producer.ts';

export interface ProducerOptions {
  /** A `redis://` or `rediss://` URL. */
  redis: string;
  /** What all keys start with, the same as the workers' prefix. Default: "islet". */
  prefix?: string;
  /** Milliseconds after which an enqueue gives up on Redis. 100 or more. Default: 900. */
  timeoutMs?: number;
}

/** Creates a producer, which connects to Redis at the first use, and fails fast while Redis is away. */
export function createProducer(options: ProducerOptions): Producer {
  const { redis: url, prefix = defaultPrefix, timeoutMs = 900 } = options;
  return openProducer(new ProducerConnection({ url, prefix, timeoutMs }), timeoutMs);
}
