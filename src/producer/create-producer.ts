import { defaultPrefix, prefixCheck } from '../broker/keys.ts';
import { ProducerConnection } from '../broker/producer-connection.ts';
import { checkOptions, checks } from '../manifest/check-options.ts';
import type { MetaSource } from './current-meta.ts';
import { openProducer, type Producer } from './producer.ts';

export interface ProducerOptions {
  /** A `redis://` or `rediss://` URL. */
  redis: string;
  /**
   * What all keys start with, except those of queues that have a `bullmq`; the same as the workers' prefix: 1 to 60 letters,
   * digits, '-' or '_'. Default: "islet".
   */
  prefix?: string;
  /** Milliseconds after which an enqueue gives up on Redis. 100 to 3_600_000 (1 hour). Default: 900. */
  timeoutMs?: number;
  /**
   * Returns what its jobs carry beside their payload, and what the jobs that these enqueue inherit, such as
   * `{ tenant: 'acme' }`: at most 16 fields, with names of 1 to 64 characters and values of at most 256 bytes. Called once
   * by each `enqueue` and `enqueueMany`; when it throws, or returns anything else, that throws
   * `E_ENQUEUE_OPTIONS_INVALID`. Default: jobs carry nothing.
   */
  meta?: MetaSource;
}

const optionChecks = {
  // The connection says what is wrong with a URL.
  redis: () => undefined,
  prefix: prefixCheck,
  timeoutMs: checks.integer(100, 3_600_000),
  meta: checks.callable,
};

/**
 * Creates a producer, which connects to Redis at the first use, and fails fast while Redis is away. Throws
 * `E_OPTIONS_INVALID` and `E_REDIS_URL_INVALID`.
 */
export function createProducer(options: ProducerOptions): Producer {
  const given = checkOptions('An option of createProducer', options, ['redis'], optionChecks, 'E_OPTIONS_INVALID');
  const { redis: url, prefix = defaultPrefix, timeoutMs = 900, meta } = given;
  return openProducer(new ProducerConnection({ url, prefix, timeoutMs }), timeoutMs, meta);
}
