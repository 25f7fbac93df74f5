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

/** Waits for a usable connection. Throws the first error that it meets. */
async function untilReady(client: Redis, url: string, limitMs: number): Promise<void> {
  if (takesCommands(client)) return;
  if (client.status === 'wait' || client.status === 'end') client.connect().catch(() => {});
  let onReady = () => {};
  const isReady = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  client.once('ready', onReady);
  await untilOpened(client, url, limitMs, isReady).finally(() => client.off('ready', onReady));
}

/** The connection of a process that must answer while Redis is away: it fails fast. */
export class ProducerConnection implements ProducerBroker {
  readonly #options: ProducerConnectionOptions;
  readonly #client: Redis;
  readonly #feed: ResultFeed;
  #sender: Sender | undefined;
  #closing: Promise<void> | undefined;

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
    client.on('error', () => {});
    // Each call that waits for the connection listens to it. Not 0, which is no limit, but BullMQ adds to it.
    client.setMaxListeners(Number.POSITIVE_INFINITY);
    this.#client = client;
    this.#feed = new ResultFeed(() => openAnother(client, { enableOfflineQueue: true }));
  }

  #refuseClosed(): void {
    // A closed client would connect again.
    if (this.#closing) throw closed();
  }

  async #untilOpen(): Promise<void> {
    this.#refuseClosed();
    await untilReady(this.#client, this.#options.url, this.#options.timeoutMs);
  }

  async #openSender(): Promise<Sender> {
    await this.#untilOpen();
    this.#sender ??= new Sender(this.#client, this.#options.prefix);
    return this.#sender;
  }

  get #openedSender(): Sender | undefined {
    return takesCommands(this.#client) && !this.#closing ? this.#sender : undefined;
  }

  #queue(name: string): QueueHandle {
    return new QueueHandle(this.#client, this.#options.prefix, name);
  }

  async ready(): Promise<void> {
    if (!this.#openedSender) await this.#openSender();
  }

  async add(jobs: readonly JobToAdd[], limitMs: number): Promise<Added[]> {
    const sender = this.#openedSender ?? (await this.#openSender());
    return within(sender.add(jobs), limitMs);
  }

  async findQueues(jobId: string): Promise<string[]> {
    await this.#untilOpen();
    return within(findQueues(this.#client, this.#options.prefix, jobId), this.#options.timeoutMs);
  }

  async cancel(queue: string, jobId: string, reason: string): Promise<CancelFound> {
    await this.#untilOpen();
    return within(cancelJob(this.#queue(queue), jobId, reason), this.#options.timeoutMs);
  }

  async awaitResult(queue: string, jobId: string, limitMs: number): Promise<StoredResult | undefined> {
    this.#refuseClosed();
    const json = await this.#feed.wait(this.#queue(queue).resultKey(jobId), limitMs);
    return json === undefined ? undefined : (JSON.parse(json) as StoredResult);
  }

  async counts(queue: string): Promise<QueueCounts> {
    return (await this.#openSender()).counts(queue);
  }

  async workers(queue: string): Promise<number> {
    return (await this.#openSender()).workers(queue);
  }

  explain(error: unknown): IsletError {
    return error instanceof IsletError ? error : explainRedisError(this.#options.url, error);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#feed.close(closed());
    // BullMQ's close waits for a connection that may never come, or not answer.
    const closing = this.#client.status === 'ready' ? this.#sender?.close() : undefined;
    if (closing) await within(closing, this.#options.timeoutMs).catch(() => {});
    this.#client.disconnect();
  }
}

function closed(): IsletError {
  return new IsletError('E_PRODUCER_CLOSED', 'The producer was closed. Create another, or close it later.');
}
