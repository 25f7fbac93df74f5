import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type {
  Added,
  CancelFound,
  CancelRequest,
  FoundJob,
  JobPlace,
  JobToAdd,
  ProducerBroker,
  QueueCounts,
  StoredResult,
} from './broker.ts';
import { cancelJob } from './cancel.ts';
import { createClient, findPrimary, openAnother, untilOpened, within } from './connection.ts';
import { lookForJob } from './job-look.ts';
import { parseStored } from './kept-result.ts';
import { placeOf, type QueuePlace, type QueueRef } from './keys.ts';
import { QueueHandle } from './queue-handle.ts';
import { findQueues, resolvePlace } from './queue-places.ts';
import { JobFinder, readJob } from './read-job.ts';
import { RedisClock } from './redis-clock.ts';
import { explainRedisError, isPassing, mayBeDone } from './refusals.ts';
import { ResultFeed } from './result-feed.ts';
import { Sender } from './send.ts';

interface ProducerConnectionOptions {
  url: string;
  prefix: string;
  timeoutMs: number;
}

/** How long a wait for a result that is over may still look for what holds the job up, in milliseconds. */
const lookLimitMs = 400;

/** The wait before jobs are sent again that Redis does not take yet, in milliseconds. */
const againMs = 50;
/** So long, in milliseconds, Redis may take to answer what is sent again. */
const answerMs = 100;

function mayPass(added: Added | undefined): boolean {
  return added !== undefined && 'error' in added && isPassing(added.error);
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
  readonly #clock: RedisClock;
  readonly #feed: ResultFeed;
  readonly #sender: Sender;
  readonly #finder: JobFinder;
  readonly #maySeek = findPrimary();
  #isSeeking = false;
  #isClosed = false;
  #measured: Promise<void> | undefined;

  constructor(options: ProducerConnectionOptions) {
    this.#options = options;
    // An enqueue that begins while Redis comes back tries several times before it gives up.
    const longestRetryMs = Math.max(50, options.timeoutMs / 4);
    // A command whose reply was lost must not be sent again behind the caller's back.
    const client = createClient(options.url, {
      maxRetriesPerRequest: null,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      // A call waits while Redis loads its data, and no longer.
      enableReadyCheck: true,
      maxLoadingRetryTime: longestRetryMs,
      retryStrategy: (times) => Math.min(times * 50, longestRetryMs),
      reconnectOnError: (error) => this.#seekPrimary(error),
    });
    // Each call that waits for the connection listens to it. BullMQ adds to the limit, so that 0 would be one.
    client.setMaxListeners(Number.POSITIVE_INFINITY);
    this.#client = client;
    this.#clock = new RedisClock(client);
    this.#sender = new Sender(client, options.prefix, this.#clock);
    this.#finder = new JobFinder(client, options.prefix);
    // To read or subscribe twice harms nobody, and ioredis would leave a read that lost its answer without an end.
    const patient = { enableOfflineQueue: true, autoResendUnfulfilledCommands: true };
    this.#feed = new ResultFeed(() => openAnother(client, patient));
  }

  get #takesCommands(): boolean {
    return !this.#isSeeking && takesCommands(this.#client);
  }

  /** Connects again to find the new primary, once Redis has answered all that it was sent: else, jobs may be in. */
  #seekPrimary(error: Error): false {
    if (this.#isSeeking || !this.#maySeek(error)) return false;
    this.#isSeeking = true;
    const answered = this.#client.ping().catch(() => {});
    void answered.then(() => {
      this.#isSeeking = false;
      if (!this.#isClosed) this.#client.disconnect(true);
    });
    return false;
  }

  #refuseClosed(): void {
    // A closed client would connect again.
    if (this.#isClosed) throw closed();
  }

  async ready(limitMs = this.#options.timeoutMs): Promise<void> {
    this.#refuseClosed();
    if (this.#takesCommands) return;
    await untilReady(this.#client, this.#options.url, limitMs);
    this.#measured ??= this.#measureClock();
    await within(this.#measured, limitMs).catch(() => {});
  }

  /** Measures the clock at the first connection: the first job may be delayed. */
  async #measureClock(): Promise<void> {
    await this.#clock.measure();
    const skew = this.#clock.describeSkew();
    if (skew !== undefined) process.emitWarning(skew, { type: 'IsletWarning', code: 'ISLET_CLOCK_SKEW' });
  }

  /** Never rejects. Jobs that Redis does not take yet, as while it loads its data, are sent again until the limit. */
  async add(jobs: readonly JobToAdd[], limitMs: number): Promise<Added[]> {
    const until = performance.now() + limitMs;
    const leftMs = () => Math.max(1, until - performance.now());
    let added = await this.#addOnce(jobs, leftMs);
    while (added.some(mayPass)) {
      await sleep(againMs);
      const isOpen = await this.ready(leftMs()).then(
        () => true,
        () => false,
      );
      // Without the time for an answer, nobody would know whether the jobs are in.
      if (!isOpen || leftMs() < answerMs) break;
      const rest = jobs.filter((_, index) => mayPass(added[index]));
      const replies = (await this.#addOnce(rest, leftMs)).values();
      added = added.map((one) => (mayPass(one) ? (replies.next().value ?? one) : one));
    }
    return added;
  }

  async #addOnce(jobs: readonly JobToAdd[], leftMs: () => number): Promise<Added[]> {
    try {
      if (this.#isClosed || !this.#takesCommands) await this.ready(leftMs());
      return await within(this.#sender.add(jobs), leftMs());
    } catch (error) {
      // An error of the whole chunk is the error of each of its jobs.
      return jobs.map(() => ({ error }));
    }
  }

  mayBeDone(error: unknown): boolean {
    return mayBeDone(error);
  }

  async findQueues(jobId: string): Promise<QueueRef[]> {
    await this.ready();
    return within(findQueues(this.#client, this.#options.prefix, jobId), this.#options.timeoutMs);
  }

  async cancel(queue: string | QueueRef, jobId: string, request: CancelRequest): Promise<CancelFound> {
    const { timeoutMs } = this.#options;
    await this.ready();
    const cancelling = this.#find(queue).then((place) => {
      return cancelJob(new QueueHandle(this.#client, place), jobId, request, 0.9 * timeoutMs);
    });
    return within(cancelling, timeoutMs);
  }

  #open(queue: QueueRef): QueueHandle {
    return new QueueHandle(this.#client, placeOf(queue, this.#options.prefix));
  }

  async #find(queue: string | QueueRef): Promise<QueuePlace> {
    const { prefix } = this.#options;
    return typeof queue === 'string' ? resolvePlace(this.#client, prefix, queue) : placeOf(queue, prefix);
  }

  async awaitResult(
    queue: QueueRef,
    jobId: string,
    limitMs: number,
    onProgress?: (progress: unknown) => void,
  ): Promise<StoredResult | undefined> {
    this.#refuseClosed();
    const json = await this.#feed.wait(this.#open(queue), jobId, { limitMs, onProgress });
    return json === undefined ? undefined : parseStored(json, jobId);
  }

  async findJobs(jobId: string, queue: string | QueueRef | undefined): Promise<FoundJob[]> {
    const until = performance.now() + this.#options.timeoutMs;
    await this.ready();
    const one = async (ref: QueueRef) => [await readJob(this.#open(ref), jobId)].flatMap((job) => job ?? []);
    const finding = typeof queue === 'object' ? one(queue) : this.#finder.find(jobId, queue);
    return within(finding, Math.max(1, until - performance.now()));
  }

  async findPlace(queue: QueueRef, jobId: string): Promise<JobPlace | undefined> {
    if (!this.#takesCommands) return undefined;
    const handle = this.#open(queue);
    const workers = this.#sender.workers(handle.place).catch(() => undefined);
    const looking = Promise.all([lookForJob(handle, jobId), workers]);
    const found = await within(looking, lookLimitMs).catch(() => undefined);
    return found && { ...found[0], workers: found[1] };
  }

  async counts(queue: string | QueueRef): Promise<QueueCounts> {
    await this.ready();
    const counting = this.#find(queue).then((place) => this.#sender.counts(place));
    return within(counting, this.#options.timeoutMs);
  }

  async workers(queue: string | QueueRef): Promise<number> {
    await this.ready();
    const counting = this.#find(queue).then((place) => this.#sender.workers(place));
    return within(counting, this.#options.timeoutMs);
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
  return new IsletError('E_PRODUCER_CLOSED', 'The producer is closed. Create another one, or close it later.');
}
