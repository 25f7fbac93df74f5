import type { Redis } from 'ioredis';
import { CancelledError, IsletError } from '../errors.ts';
import type { Guard } from '../guard/guard.ts';
import type { BullmqWorker, ConsumeOptions, Consumer } from './broker.ts';
import { workerClientName } from './bullmq-internals.ts';
import { keyNames, metaFields } from './bullmq-names.ts';
import { type CancelWatch, createCancelWatch } from './cancel-watch.ts';
import { isNoPrimary, openAnother } from './connection.ts';
import { Deliveries } from './deliveries.ts';
import { maxEvents, queueKey, queuesKey } from './keys.ts';
import { createLocks, type Locks } from './locks.ts';
import { QueueWorker } from './queue-worker.ts';
import { keptOf } from './settle.ts';
import { createStalledCheck } from './stalled-check.ts';
import { createTroubleReport } from './trouble.ts';
import { createWorkerRecords, type WorkerRecords } from './worker-records.ts';

export interface ConsumerScope {
  client: Redis;
  prefix: string;
  guard: Guard | undefined;
  slot: string | undefined;
}

/** A loop with room that has not moved for so long has stopped: one of its waits lasts 12 seconds at most. */
const stuckMs = 30_000;

/** Takes one queue's jobs: BullMQ's Worker, and what Islet puts around it. */
export class QueueConsumer implements Consumer {
  /** Hears of jobs that are cancelled. */
  readonly cancels: CancelWatch;
  readonly #client: Redis;
  readonly #prefix: string;
  readonly #options: ConsumeOptions;
  readonly #worker: QueueWorker;
  readonly #locks: Locks;
  readonly #records: WorkerRecords;
  readonly #check: ReturnType<typeof createStalledCheck>;
  #movedAt = performance.now();
  #kicked = false;
  /** Wakes an isolation that waits for the last jobs. */
  #onDrop = () => {};
  #closing: Promise<void> | undefined;

  static async open(scope: ConsumerScope, options: ConsumeOptions): Promise<QueueConsumer> {
    const { client, prefix } = scope;
    // The name by which BullMQ's tools count a queue's workers.
    const connectionName = workerClientName(prefix, options.queue.name, process.pid);
    // A wait that is lost with its connection is not sent again: nobody would read what it takes.
    const blocking = openAnother(client, { connectionName, maxRetriesPerRequest: 0, reconnectOnError: isNoPrimary });
    await blocking.connect();
    const consumer = new QueueConsumer(scope, blocking, options);
    try {
      await consumer.#worker.waitUntilReady();
      await consumer.#enter();
      return consumer;
    } catch (error) {
      await consumer.#worker.close();
      consumer.#closeTimers();
      throw error;
    }
  }

  private constructor({ client, prefix, guard, slot }: ConsumerScope, blocking: Redis, options: ConsumeOptions) {
    const { queue, concurrency } = options;
    const place = { prefix, queue: queue.name };
    const durationMs = queue.lockDurationMs;
    this.#client = client;
    this.#prefix = prefix;
    this.#options = options;
    const worker = new QueueWorker({
      ...{ prefix, client, blocking, concurrency },
      queue: queue.name,
      lockDurationMs: durationMs,
      host: {
        onFetched: (job) => deliveries.take(job),
        deliver: (job, mayFetch) => deliveries.deliver(job, mayFetch),
        cancel: (jobId, reason) => this.#cancel(jobId, reason),
        onProgress: () => this.#moved(),
        holds: () => this.#locks.holds,
      },
    });
    worker.on('error', createTroubleReport(options.onTrouble));
    const onTrouble = (error: unknown) => void worker.emit('error', error as Error);
    const own = { client, place, workerId: worker.id, onTrouble };
    const locks = createLocks({ ...own, guard, durationMs });
    const cancels = createCancelWatch({ ...own, locks });
    const records = createWorkerRecords({ ...own, ...place, slot, silentMs: 3 * queue.stalledCheckMs });
    const deliveries = new Deliveries({
      ...{ ...own, options, locks, cancels, records },
      backend: worker.getBackend(),
      kept: keptOf(queue.retention),
      isStopped: () => worker.closing !== undefined,
      onDropped: () => this.#onDrop(),
    });
    this.#worker = worker;
    this.#locks = locks;
    this.#records = records;
    this.cancels = cancels;
    this.#check = createStalledCheck({
      ...{ ...own, locks },
      intervalMs: queue.stalledCheckMs,
      onLook: () => this.#watchLoop(),
      onStalled: (jobIds) => this.#recovered(jobIds),
      onSilence: () => client.disconnect(true),
    });
  }

  get worker(): BullmqWorker {
    return this.#worker as unknown as BullmqWorker;
  }

  #key(name: string): string {
    return queueKey(this.#prefix, this.#options.queue.name, name);
  }

  async #enter(): Promise<void> {
    await this.#client.sadd(queuesKey(this.#prefix), this.#options.queue.name);
    await this.#client.hset(this.#key(keyNames.meta), metaFields.maxEvents, maxEvents);
    await this.#records.enter();
    await this.recoverDead();
  }

  start(): void {
    this.#moved();
    this.#worker.run().catch((error) => this.#worker.emit('error', error));
  }

  async recoverDead(): Promise<void> {
    this.#recovered(await this.#records.recoverDead());
  }

  #recovered(jobIds: string[]): void {
    if (jobIds.length === 0) return;
    for (const jobId of jobIds) this.#worker.emit('stalled', jobId, 'active');
    this.#options.onRecovered(jobIds);
  }

  #cancel(jobId: string, reason = 'BullMQ was asked to'): boolean {
    const hold = this.#locks.holds.get(jobId);
    if (!hold || hold.ended) return false;
    hold.abort.abort(new CancelledError(jobId, reason));
    return true;
  }

  #moved(): void {
    this.#movedAt = performance.now();
    this.#kicked = false;
  }

  /** Redis has just answered, so a loop that does not move has stopped by itself: it is woken up, then given up. */
  #watchLoop(): void {
    if (this.#worker.room <= 0 || performance.now() - this.#movedAt < stuckMs) return;
    if (this.#kicked) {
      const seen = `Queue "${this.#options.queue.name}" has fetched nothing for ${stuckMs / 1_000} s although Redis answers.`;
      this.#options.onDead(new IsletError('E_FETCH_STOPPED', `${seen} The worker has to be replaced.`));
    }
    this.#kicked = true;
    this.#worker.getBackend().interrupt();
  }

  /** After an outage: what was told meanwhile is asked for. */
  onReconnect(): void {
    this.#locks.renewNow();
    this.#check.soon();
    this.cancels.lookAtAll();
  }

  #nextDrop(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrop = resolve;
    });
  }

  async isolate(jobId?: string): Promise<void> {
    const most = jobId === undefined ? 0 : 1;
    await this.#worker.getBackend().isolate();
    if (jobId !== undefined) await this.#records.sayWaiting(jobId);
    while (!this.#worker.closing && this.#locks.holds.size > most) await this.#nextDrop();
    if (jobId !== undefined) await this.#records.sayAlone(jobId);
  }

  async rejoin(jobId?: string): Promise<void> {
    const hold = jobId === undefined ? undefined : this.#locks.holds.get(jobId);
    if (hold) hold.cleared = true;
    if (jobId !== undefined) {
      await this.#records.sayAgainMany().catch((error) => this.#worker.emit('error', error));
    }
    this.#worker.getBackend().rejoin();
  }

  stop(): void {
    if (this.#worker.closing) return;
    void this.#worker.close();
    this.#onDrop();
    this.#records.sayStopping().catch((error) => this.#worker.emit('error', error));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.stop();
    await this.#worker.close();
    this.#closeTimers();
    await this.#records.leave();
  }

  #closeTimers(): void {
    this.#check.close();
    this.#locks.close();
  }
}
