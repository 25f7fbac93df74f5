import {
  FlowProducer,
  Job,
  type JobsOptions,
  type Queue,
  type QueueBaseOptions,
  QueueKeys,
  RedisConnection,
  type RedisQueueBackend,
  Worker,
} from 'bullmq';
import { Redis } from 'ioredis';
import { vi } from 'vitest';
import { placeOf, queueKey } from '../../src/broker/keys.ts';
import { bullmqQueue } from '../../src/producer.ts';
import { openRedisPlace } from './redis-place.ts';

export const lockDuration = 30_000;

/** A queue that is used only by BullMQ's public functions, so that tests can compare what Redis holds then. */
export class PlainBullmq {
  readonly #place = openRedisPlace();
  readonly #opened: { close(): Promise<unknown> }[] = [];
  readonly prefix = this.#place.prefix;
  readonly redis = new Redis(this.#place.url, { maxRetriesPerRequest: null });
  readonly queue: Queue = this.#place.queue('facts');
  /** The options with which BullMQ opens a worker of this queue. */
  readonly options = { connection: this.redis, prefix: this.prefix, autorun: false, name: 'tester', lockDuration };
  readonly url = this.#place.url;
  readonly name = bullmqQueue('facts').name;

  key(name: string): string {
    return queueKey(placeOf({ name: 'facts' }, this.prefix), name);
  }

  hash(job: Job | undefined): Promise<Record<string, string>> {
    return this.redis.hgetall(this.key(job?.id ?? ''));
  }

  add(options: JobsOptions = {}): Promise<Job> {
    return this.queue.add('send', { to: 'a' }, options);
  }

  /** Adds a job that has a parent. */
  async addChild(options: JobsOptions = {}): Promise<{ parent: Job; child: Job }> {
    const flows = this.closeLater(new FlowProducer({ connection: this.redis, prefix: this.prefix }));
    const child = { name: 'send', queueName: this.name, opts: options };
    const { job, children } = await flows.add({ name: 'parent', queueName: this.name, children: [child] });
    return { parent: job, child: children?.[0]?.job as Job };
  }

  /** Makes a scheduler, and returns its first job. */
  async schedule(id: string): Promise<Job> {
    const job = await this.queue.upsertJobScheduler(id, { every: 60_000 }, { name: 'send' });
    if (!job) throw new Error('BullMQ made no job for a scheduler');
    return job;
  }

  /** Fetches the next job as BullMQ's Worker does, without running it. */
  async fetch(token = 'tester:1'): Promise<Job> {
    const worker = this.openWorker();
    const job = (await worker.getNextJob(token, { block: false })) as Job | undefined;
    if (!job) throw new Error('BullMQ fetched no job');
    return job;
  }

  async fetchNew(options: JobsOptions = {}): Promise<Job> {
    await this.add(options);
    return this.fetch();
  }

  async fail(options: JobsOptions = {}): Promise<Job> {
    const job = await this.fetchNew(options);
    await job.moveToFailed(new Error('no'), 'tester:1', false);
    return job;
  }

  async complete(options: JobsOptions = {}): Promise<Job> {
    const job = await this.fetchNew(options);
    await job.moveToCompleted('sent', 'tester:1', false);
    return job;
  }

  /** Loses the lock of a job, and lets BullMQ find the job stalled once more than it may be. */
  async stall(): Promise<Job> {
    const job = await this.fetchNew();
    await job.extendLock('tester:1', 1);
    const worker = this.openWorker({ stalledInterval: 20, maxStalledCount: 0 });
    const stalled = new Promise((resolve) => worker.once('stalled', resolve));
    await worker.startStalledCheckTimer();
    await stalled;
    return job;
  }

  /** Reads a job as BullMQ does. */
  async read(job: Job): Promise<Job> {
    const found = await Job.fromId(this.queue, job.id ?? '');
    if (!found) throw new Error(`BullMQ has no job "${job.id}"`);
    return found;
  }

  openWorker(options: object = {}, run: (() => Promise<unknown>) | null = null): Worker {
    const worker = this.closeLater(new Worker(this.name, run, { ...this.options, ...options }));
    // A loop that meets an error again and again would leave a test no turn.
    worker.on('error', () => void worker.close());
    return worker;
  }

  /** Makes what BullMQ's scripts of this queue are constructed from, as Islet does. */
  backendParts(options: QueueBaseOptions): ConstructorParameters<typeof RedisQueueBackend> {
    const connection = new RedisConnection(this.redis, { shared: true, blocking: false, skipVersionCheck: true });
    const keys = new QueueKeys(this.prefix);
    return [connection, this.name, keys.getKeys(this.name), (type) => keys.toKey(this.name, type), options];
  }

  closeLater<Opened extends { close(): Promise<unknown> }>(opened: Opened): Opened {
    this.#opened.push(opened);
    return opened;
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map((opened) => opened.close()));
    this.redis.disconnect();
    await this.#place.close();
  }
}

export const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 5 });
