import type { Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { Added, CancelFound, JobToAdd, ProducerBroker, QueueCounts, StoredResult } from './broker.ts';
import { cancelJob, findQueues } from './cancel.ts';
import { createClient, explainRedisError, findPrimary, openAnother, untilOpened, within } from './connection.ts';
import { QueueHandle } from './queue-handle.ts';
import { ResultFeed } from './result-feed.ts';
import { Sender } from './send.ts';

interface ProducerConnectionOptions {
  url: string;
  prefix: string;
  timeoutMs: number;
}

/** Tells whether commands can be sent: a connection that is being closed is still called ready. */
function takesCommands({ status, stream }: Redis): boolean {
  return status === 'ready' && stream.writable;
}

/** Waits for a usable connection. Throws the last error that it met. */
async function untilReady(client: Redis, url: string, limitMs: number): Promise<void> {
  if (client.status === 'wait' || client.status === 'end') client.connect().catch(() => {});
  let onReady = () => {};
  const isReady = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  client.once('ready', onReady);
  await untilOpened(client, url, limitMs, isReady).finally(() => client.off('ready', onReady));
}

/** The connection of a process that must answer while Redis is away, and so fails fast. */
export class ProducerConnection implements ProducerBroker {
  readonly #options: ProducerConnectionOptions;
  readonly #client: Redis;
  readonly #feed: ResultFeed;
  readonly #sender: Sender;
  #isClosed = false;

  constructor(options: ProducerConnectionOptions) {
    this.#options = options;
    // A command whose reply was lost must not be sent again behind the caller's back.
    const client = createClient(options.url, {
      maxRetriesPerRequest: null,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      // A call waits while Redis loads its data, and no longer.
      enableReadyCheck: true,
      maxLoadingRetryTime: 1_000,
      retryStrategy: (times) => Math.min(times * 50, 1_000),
      reconnectOnError: findPrimary(),
    });
    // Each call that waits for the connection listens to it. BullMQ adds to the limit, so that 0 would be one.
    client.setMaxListeners(Number.POSITIVE_INFINITY);
    this.#client = client;
    this.#sender = new Sender(client, options.prefix);
    this.#feed = new ResultFeed(() => openAnother(client, { enableOfflineQueue: true }));
  }

  #refuseClosed(): void {
    // A closed client would connect again.
    if (this.#isClosed) throw closed();
  }

  async ready(): Promise<void> {
    this.#refuseClosed();
    if (!takesCommands(this.#client)) await untilReady(this.#client, this.#options.url, this.#options.timeoutMs);
  }

  async add(jobs: readonly JobToAdd[], limitMs: number): Promise<Added[]> {
    if (this.#isClosed || !takesCommands(this.#client)) await this.ready();
    return within(this.#sender.add(jobs), limitMs);
  }

  async findQueues(jobId: string): Promise<string[]> {
    await this.ready();
    return within(findQueues(this.#client, this.#options.prefix, jobId), this.#options.timeoutMs);
  }

  async cancel(queue: string, jobId: string, reason: string): Promise<CancelFound> {
    await this.ready();
    return within(cancelJob(this.#queue(queue), jobId, reason), this.#options.timeoutMs);
  }

  #queue(name: string): QueueHandle {
    return new QueueHandle(this.#client, this.#options.prefix, name);
  }

  async awaitResult(queue: string, jobId: string, limitMs: number): Promise<StoredResult | undefined> {
    this.#refuseClosed();
    const json = await this.#feed.wait(this.#queue(queue).resultKey(jobId), limitMs);
    return json === undefined ? undefined : (JSON.parse(json) as StoredResult);
  }

  async counts(queue: string): Promise<QueueCounts> {
    await this.ready();
    return this.#sender.counts(queue);
  }

  async workers(queue: string): Promise<number> {
    await this.ready();
    return this.#sender.workers(queue);
  }

  explain(error: unknown): IsletError {
    return explainRedisError(this.#options.url, error);
  }

  /** Leaves BullMQ's Queues open: all that they have is this connection, and their own `close` may wait for it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#feed.close(closed());
    this.#client.disconnect();
  }
}

function closed(): IsletError {
  return new IsletError('E_PRODUCER_CLOSED', 'The producer was closed. Create another, or close it later.');
}
