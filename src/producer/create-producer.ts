import { defaultPrefix, prefixCheck } from '../broker/keys.ts';
import { ProducerConnection } from '../broker/producer-connection.ts';
import { checkOptions, checks } from '../manifest/check-options.ts';
import { openProducer, type Producer } from './producer.ts';

export interface ProducerOptions {
  /** A `redis://` or `rediss://` URL. */
  redis: string;
  /**
   * What all keys start with, the same as the workers' prefix: 1 to 60 letters, digits, '-' or '_'. Default: "islet".
   */
  prefix?: string;
  /** Milliseconds after which an enqueue gives up on Redis. 100 to 3_600_000 (1 hour). Default: 900. */
  timeoutMs?: number;
}

const optionChecks = {
  // The connection says what is wrong with a URL.
  redis: () => undefined,
  prefix: prefixCheck,
  timeoutMs: checks.integer(100, 3_600_000),
};

/**
 * Creates a producer, which connects to Redis at the first use, and fails fast while Redis is away. Throws
 * `E_OPTIONS_INVALID` and `E_REDIS_URL_INVALID`.
 */
export function createProducer(options: ProducerOptions): Producer {
  const given = checkOptions('An option of createProducer', options, ['redis'], optionChecks, 'E_OPTIONS_INVALID');
  const { redis: url, prefix = defaultPrefix, timeoutMs = 900 } = given;
  return openProducer(new ProducerConnection({ url, prefix, timeoutMs }), timeoutMs);
}
