import type { Redis } from 'ioredis';
import { CancelledError, IsletError } from '../errors.ts';
import type { Guard } from '../guard/guard.ts';
import type { BullmqWorker, ConsumeOptions, Consumer } from './broker.ts';
import { workerClientName } from './bullmq-internals.ts';
import { keyNames, metaFields } from './bullmq-names.ts';
import { CancelWatch } from './cancel-watch.ts';
import { isNoPrimary, openAnother } from './connection.ts';
import { Deliveries } from './deliveries.ts';
import { maxEvents, queuesKey } from './keys.ts';
import { Locks } from './locks.ts';
import type { QueueHandle } from './queue-handle.ts';
import { QueueWorker, type QueueWorkerHost } from './queue-worker.ts';
import { StalledCheck } from './stalled-check.ts';
import { createTroubleReport } from './trouble.ts';
import { WorkerRecords } from './worker-records.ts';
import type { WorkerScope } from './worker-scope.ts';

export interface ConsumerScope {
  queue: QueueHandle;
  guard: Guard | undefined;
  slot: string | undefined;
}

/** A loop with room that has not moved for so long has stopped: one of its waits lasts 12 seconds at most. */
const stuckMs = 30_000;

/** Takes one queue's jobs: BullMQ's Worker, and what Islet puts around it. */
export class QueueConsumer implements Consumer {
  readonly cancels: CancelWatch;
  readonly #queue: QueueHandle;
  readonly #options: ConsumeOptions;
  readonly #worker: QueueWorker;
  readonly #locks: Locks;
  readonly #records: WorkerRecords;
  readonly #check: StalledCheck;
  #wokenAt = 0;
  #closing: Promise<void> | undefined;

  static async open(scope: ConsumerScope, options: ConsumeOptions): Promise<QueueConsumer> {
    const { client, prefix, name } = scope.queue;
    // BullMQ's tools count a queue's workers by this name.
    const connectionName = workerClientName(prefix, name, process.pid);
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

  private constructor({ queue, guard, slot }: ConsumerScope, blocking: Redis, options: ConsumeOptions) {
    const { lockDurationMs } = options.queue;
    this.#queue = queue;
    this.#options = options;
    const host: QueueWorkerHost = {
      onFetched: (job) => deliveries.take(job),
      deliver: (job, mayFetch) => deliveries.deliver(job, mayFetch),
      cancel: (jobId, reason) => this.#cancel(jobId, reason),
      holds: () => this.#locks.holds,
    };
    const worker = new QueueWorker({ queue, blocking, concurrency: options.concurrency, lockDurationMs, host });
    worker.on('error', createTroubleReport(options.onTrouble));
    const scope: WorkerScope = {
      ...{ queue, options, workerId: worker.id, backend: worker.getBackend() },
      onTrouble: this.#onTrouble,
    };
    const locks = new Locks(scope, guard);
    const cancels = new CancelWatch(scope, locks);
    const records = new WorkerRecords(scope, slot);
    const deliveries = new Deliveries(scope, { locks, cancels, records });
    this.#worker = worker;
    this.#locks = locks;
    this.#records = records;
    this.cancels = cancels;
    this.#check = new StalledCheck(scope, locks, {
      onLook: () => this.#watchLoop(),
      onStalled: (jobIds) => this.#recovered(jobIds),
    });
  }

  get worker(): BullmqWorker {
    return this.#worker as unknown as BullmqWorker;
  }

  readonly #onTrouble = (error: unknown): void => {
    this.#worker.emit('error', error as Error);
  };

  async #enter(): Promise<void> {
    const { client, prefix, name } = this.#queue;
    await client.sadd(queuesKey(prefix), name);
    await client.hset(this.#queue.key(keyNames.meta), metaFields.maxEvents, maxEvents);
    await this.#records.enter();
    await this.recoverDead();
  }

  start(): void {
    this.#worker.getBackend().wait.moved();
    this.#worker.run().catch(this.#onTrouble);
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

  /** Wakes a loop that does not move although Redis has just answered, and gives it up when that does not help. */
  #watchLoop(): void {
    const { wait } = this.#worker.getBackend();
    if (this.#worker.room <= 0 || performance.now() - wait.movedAt < stuckMs) return;
    if (this.#wokenAt > wait.movedAt) {
      const seen = `Queue "${this.#queue.name}" has fetched nothing for ${stuckMs / 1_000} s although Redis answers.`;
      this.#options.onDead(new IsletError('E_FETCH_STOPPED', `${seen} The worker has to be replaced.`));
    }
    this.#wokenAt = performance.now();
    wait.interrupt();
  }

  /** Asks, after an outage, for what was told meanwhile. */
  onReconnect(): void {
    void this.#locks.renewNow();
    this.#check.soon();
    this.cancels.lookAtAll();
  }

  async isolate(jobId?: string): Promise<void> {
    const most = jobId === undefined ? 0 : 1;
    await this.#worker.getBackend().isolate();
    if (jobId !== undefined) await this.#records.say('waiting', jobId);
    while (!this.#worker.closing && this.#locks.holds.size > most) await this.#locks.nextDrop();
    if (jobId !== undefined) await this.#records.sayAlone(jobId);
  }

  async rejoin(jobId?: string): Promise<void> {
    if (jobId !== undefined) {
      const hold = this.#locks.holds.get(jobId);
      if (hold) hold.cleared = true;
      await this.#records.sayAgainMany().catch(this.#onTrouble);
    }
    this.#worker.getBackend().wait.rejoin();
  }

  stop(): void {
    if (this.#worker.closing) return;
    void this.#worker.close();
    this.#locks.endWait();
    this.#records.say('stopping', Date.now()).catch(this.#onTrouble);
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
