import type { Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { ProducerBroker, StoredResult } from './broker.ts';
import { cancelJob, findQueues } from './cancel.ts';
import { createClient, explainRedisError, findPrimary, openAnother } from './connection.ts';
import { createResultFeed } from './result-feed.ts';
import { createSender, type Sender } from './send.ts';

/** Rejects after `limitMs`; the work goes on, so a late failure of it is not an unhandled rejection. */
export function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
    const over = <Value>(settle: (value: Value) => void) => {
      return (value: Value) => {
        clearTimeout(timer);
        settle(value);
      };
    };
    work.then(over(resolve), over(reject));
  });
}

/** A connection that is being closed is still called ready. */
function takesCommands({ status, stream }: Redis): boolean {
  return status === 'ready' && stream.writable;
}

/** Waits for a usable connection; its first error is what the caller is told. */
async function untilReady(client: Redis, url: string, limitMs: number): Promise<void> {
  if (takesCommands(client)) return;
  if (client.status === 'wait' || client.status === 'end') client.connect().catch(() => {});
  let last: unknown;
  const remember = (error: unknown) => {
    last = error;
  };
  let resolveReady = () => {};
  const isReady = new Promise<void>((resolve) => {
    resolveReady = resolve;
  });
  client.on('error', remember);
  client.once('ready', resolveReady);
  try {
    await within(isReady, limitMs);
    if (last) throw last;
  } catch (error) {
    throw explainRedisError(url, last ?? error);
  } finally {
    client.off('error', remember);
    client.off('ready', resolveReady);
  }
}

/** Opens a connection that fails fast, for processes that must answer while Redis is away. */
export function openProducerConnection(options: { url: string; prefix: string; timeoutMs: number }): ProducerBroker {
  const { url, prefix, timeoutMs } = options;
  // A command whose reply was lost must not be sent again behind the caller's back.
  const client = createClient(url, {
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
  const feed = createResultFeed(() => openAnother(client, { enableOfflineQueue: true }), prefix);
  let sender: Sender | undefined;
  let closing: Promise<void> | undefined;
  const closed = () =>
    new IsletError('E_PRODUCER_CLOSED', 'The producer was closed. Create another, or close it later.');
  const untilOpen = async () => {
    // A closed client would connect again.
    if (closing) throw closed();
    await untilReady(client, url, timeoutMs);
  };
  const close = async () => {
    feed.close(closed());
    // BullMQ's close waits for a connection that may never come, or not answer.
    if (client.status === 'ready' && sender) await within(sender.close(), timeoutMs).catch(() => {});
    client.disconnect();
  };
  const openSender = async () => {
    await untilOpen();
    sender ??= createSender(client, prefix);
    return sender;
  };
  const isOpen = () => sender !== undefined && takesCommands(client) && closing === undefined;
  return {
    async ready() {
      if (!isOpen()) await openSender();
    },
    async add(jobs, limitMs) {
      const opened = sender && isOpen() ? sender : await openSender();
      return within(opened.add(jobs), limitMs);
    },
    async findQueues(jobId) {
      await untilOpen();
      return within(findQueues({ client, prefix }, jobId), timeoutMs);
    },
    async cancel(queue, jobId, reason) {
      await untilOpen();
      return within(cancelJob({ client, prefix }, queue, jobId, reason), timeoutMs);
    },
    async awaitResult(queue, jobId, limitMs) {
      if (closing) throw closed();
      const json = await feed.wait(queue, jobId, limitMs);
      return json === undefined ? undefined : (JSON.parse(json) as StoredResult);
    },
    counts: async (queue) => (await openSender()).counts(queue),
    workers: async (queue) => (await openSender()).workers(queue),
    explain: (error) => (error instanceof IsletError ? error : explainRedisError(url, error)),
    close() {
      closing ??= close();
      return closing;
    },
  };
}
