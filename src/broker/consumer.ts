import type { Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { BullmqWorker, Consumer } from './broker.ts';
import { workerClientName } from './bullmq-internals.ts';
import { keyNames, metaFields } from './bullmq-names.ts';
import { lookForCancel } from './cancel.ts';
import { checkPlace } from './check-place.ts';
import { isNoPrimary, openAnother, within } from './connection.ts';
import { Deliveries } from './deliveries.ts';
import { DenialWatch } from './denial-watch.ts';
import { maxEvents } from './keys.ts';
import { Locks } from './locks.ts';
import { claimPlace, isOwn, othersOf, readPlaces, tellDifference } from './queue-places.ts';
import { QueueWorker } from './queue-worker.ts';
import { checkRights } from './rights.ts';
import { StalledCheck } from './stalled-check.ts';
import { createTroubleReport } from './trouble.ts';
import { enterWorker, leaveWorkers, recoverDead, sayNoMore, sayOfWorker } from './worker-records.ts';
import type { WorkerParts, WorkerScope } from './worker-scope.ts';

/**
 * A loop that has room and has not moved for this long has stopped, because each of its waits ends within 12 seconds.
 */
const stuckMs = 30_000;
/** How often a worker checks whether producers send its queue's jobs elsewhere, in milliseconds. */
const placesEveryMs = 60_000;
/** How long Redis may take for what is said at the stop when no outcome waits to be written, in milliseconds. */
const farewellMs = 1_000;

/** Takes one queue's jobs: BullMQ's Worker, and what Islet puts around it. */
export class QueueConsumer implements Consumer {
  readonly worker: BullmqWorker;
  readonly #scope: WorkerScope;
  readonly #worker: QueueWorker;
  readonly #locks: Locks;
  readonly #check: StalledCheck;
  readonly #denials: DenialWatch;
  #wokenAt = 0;
  #placesReadAt = performance.now();
  readonly #differences = new Set<string>();
  #closing: Promise<void> | undefined;

  static async open(parts: WorkerParts): Promise<QueueConsumer> {
    const { client, place } = parts.queue;
    // BullMQ's tools count a queue's workers by this name.
    const connectionName = workerClientName(place, process.pid);
    // A wait that is lost with its connection is not sent again: nobody would read what it takes.
    const blocking = openAnother(client, { connectionName, maxRetriesPerRequest: 0, reconnectOnError: isNoPrimary });
    let consumer: QueueConsumer | undefined;
    try {
      await blocking.connect();
      consumer = new QueueConsumer(parts, blocking);
      await consumer.#worker.waitUntilReady();
      await consumer.#enter();
      return consumer;
    } catch (error) {
      // Also one that could not be opened would try again and again.
      blocking.disconnect();
      if (consumer) await within(consumer.#leave(), farewellMs).catch(() => {});
      throw error;
    }
  }

  private constructor(parts: WorkerParts, blocking: Redis) {
    const worker = new QueueWorker(parts, blocking, {
      onFetched: (job) => deliveries.take(job),
      deliver: (job, mayFetch) => deliveries.deliver(job, mayFetch),
      holds: () => this.#locks.holds,
    });
    this.#denials = new DenialWatch(parts.queue, parts.options.onDead);
    worker.on('error', createTroubleReport(parts.options.onTrouble));
    worker.on('error', (error) => this.#denials.met(error));
    // A login that is refused after an outage is told by an event alone.
    blocking.on('error', (error) => this.#denials.met(error));
    const onTrouble = (error: unknown) => void worker.emit('error', error as Error);
    const scope = { ...parts, workerId: worker.id, backend: worker.getBackend(), onTrouble };
    this.#scope = scope;
    this.#worker = worker;
    this.worker = worker as unknown as BullmqWorker;
    this.#locks = new Locks(scope);
    const deliveries = new Deliveries(scope, this.#locks);
    this.#check = new StalledCheck(scope, this.#locks, (stalled) => {
      this.#recovered(stalled);
      this.#watchLoop();
      this.#watchPlaces();
    });
  }

  async #enter(): Promise<void> {
    const { queue, options } = this.#scope;
    const { client, place } = queue;
    await checkRights(queue);
    // Two that start at the same time see each other.
    await enterWorker(this.#scope);
    for (const notice of await checkPlace(this.#scope)) options.onNotice?.(notice);
    await claimPlace(client, place);
    // An existing queue of BullMQ's keeps as many events as its owner says.
    if (isOwn(place)) await client.hset(queue.key(keyNames.meta), metaFields.maxEvents, maxEvents);
    await this.recoverDead();
  }

  start(): void {
    this.#scope.backend.wait.moved();
    this.#worker.run().catch(this.#scope.onTrouble);
  }

  async recoverDead(): Promise<void> {
    this.#recovered(await recoverDead(this.#scope));
  }

  #recovered(jobIds: string[]): void {
    if (jobIds.length === 0) return;
    for (const jobId of jobIds) this.#worker.emit('stalled', jobId, 'active');
    this.#scope.options.onRecovered(jobIds);
  }

  /** Called when a job was cancelled. The job may run here. */
  onCancel(jobId: string): void {
    lookForCancel(this.#scope, this.#locks, jobId).catch(this.#scope.onTrouble);
  }

  /** Tells once that a producer sends the queue's jobs elsewhere. */
  #watchPlaces(): void {
    const { queue, options, onTrouble } = this.#scope;
    if (performance.now() - this.#placesReadAt < placesEveryMs) return;
    this.#placesReadAt = performance.now();
    const look = async () => {
      const known = await readPlaces(queue.client, queue.place.app);
      for (const other of othersOf(queue.place, known)) {
        const difference = tellDifference(queue.place, other);
        if (!this.#differences.has(difference)) options.onNotice?.(difference);
        this.#differences.add(difference);
      }
    };
    look().catch(onTrouble);
  }

  /** Wakes a loop that does not move although Redis has just answered, and gives it up when that does not help. */
  #watchLoop(): void {
    const { queue, options, backend } = this.#scope;
    const { wait } = backend;
    if (this.#worker.room <= 0 || performance.now() - wait.movedAt < stuckMs) return;
    if (this.#wokenAt > wait.movedAt) {
      const seen = `Queue "${queue.name}" has fetched nothing for ${stuckMs / 1_000} s although Redis answers.`;
      options.onDead(new IsletError('E_FETCH_STOPPED', `${seen} The worker has to be replaced.`));
    }
    this.#wokenAt = performance.now();
    wait.interrupt();
  }

  /** Hears what a connection that this worker shares with others says of its login. */
  onConnectionError(error: unknown): void {
    this.#denials.met(error);
  }

  /** Gives the worker up: it has to be replaced. */
  giveUp(error: IsletError): void {
    this.#scope.options.onDead(error);
  }

  /** Catches up after an outage: renews locks, and looks for stalled and cancelled jobs. */
  onReconnect(): void {
    void this.#locks.renewNow();
    this.#check.soon();
    for (const jobId of this.#locks.holds.keys()) this.onCancel(jobId);
  }

  async isolate(jobId?: string): Promise<void> {
    const most = jobId === undefined ? 0 : 1;
    await this.#scope.backend.isolate();
    if (jobId !== undefined) await sayOfWorker(this.#scope, { waiting: jobId });
    while (!this.#worker.closing && this.#locks.holds.size > most) await this.#locks.nextDrop();
    // From now on, the job alone is charged with what happens to this worker.
    if (jobId !== undefined) await sayOfWorker(this.#scope, { culprit: jobId, waiting: '' });
  }

  async rejoin(jobId?: string): Promise<void> {
    if (jobId !== undefined) {
      const hold = this.#locks.holds.get(jobId);
      if (hold) hold.cleared = true;
      await sayNoMore(this.#scope).catch(this.#scope.onTrouble);
    }
    this.#scope.backend.wait.rejoin();
  }

  stop(): void {
    if (this.#worker.closing) return;
    void this.#worker.close();
    this.#locks.endWait();
    sayOfWorker(this.#scope, { stopping: this.#scope.queue.clock.now() }).catch(this.#scope.onTrouble);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.stop();
    const left = this.#leave().catch(() => {});
    await Promise.race([left, this.#allSettled()]);
    // No outcome waits to be written, so nothing is lost with a Redis that does not answer.
    await within(left, farewellMs).catch(() => {});
    this.#closeTimers();
  }

  async #allSettled(): Promise<void> {
    while (this.#locks.holds.size > 0) await this.#locks.nextDrop();
  }

  async #leave(): Promise<void> {
    await this.#worker.close();
    this.#closeTimers();
    // Its record says no more than that it stops, which its successors do not need.
    await leaveWorkers(this.#scope).catch(this.#scope.onTrouble);
  }

  #closeTimers(): void {
    this.#check.close();
    this.#locks.close();
    this.#denials.close();
  }
}
