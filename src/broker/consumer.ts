import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { IsletError, LockLostError } from '../errors.ts';
import type { ConsumeOptions, Consumer, Outcome } from './broker.ts';
import { type CancelWatch, createCancelWatch } from './cancel-watch.ts';
import { failUnrun, toEnded } from './ended-job.ts';
import { createFetchLoop, type FetchLoop } from './fetch-loop.ts';
import type { Guard } from './guard.ts';
import { type FetchedJob, type JobBackend, openJobBackend } from './job-backend.ts';
import { maxEvents, queueKey, queuesKey } from './keys.ts';
import { createLocks, type Hold, type Locks } from './locks.ts';
import { createSchedulers } from './schedulers.ts';
import { type SettleScope, settle } from './settle.ts';
import { createStalledCheck } from './stalled-check.ts';
import { createToDelivery } from './to-delivery.ts';
import { createTroubleReport } from './trouble.ts';
import { createWorkerRecords, type WorkerRecords } from './worker-records.ts';

export interface ConsumerScope {
  client: Redis;
  prefix: string;
  guard: Guard | undefined;
  slot: string | undefined;
}

type OpenScope = ConsumerScope & { workerId: string; backend: JobBackend; blocking: Redis };

/** A fetch loop with room that has not moved for so long has stopped: one of its waits lasts 12 seconds at most. */
const stuckMs = 30_000;

/** Fetches one queue's jobs, hands them out, keeps their locks, and writes how they ended. */
export class QueueConsumer implements Consumer {
  /** Hears of jobs that are cancelled. */
  readonly cancels: CancelWatch;
  readonly #client: Redis;
  readonly #prefix: string;
  readonly #options: ConsumeOptions;
  readonly #report: (error: unknown) => void;
  readonly #locks: Locks;
  readonly #records: WorkerRecords;
  readonly #toDelivery: ReturnType<typeof createToDelivery>;
  readonly #schedulers: ReturnType<typeof createSchedulers>;
  readonly #loop: FetchLoop;
  readonly #check: ReturnType<typeof createStalledCheck>;
  readonly #settling: SettleScope;
  /** Deliveries that are not over. */
  #deliveries = 0;
  #movedAt = performance.now();
  #kicked = false;
  /** Wakes a pause that waits for the last jobs. */
  #onDrop = () => {};
  #closing: Promise<void> | undefined;

  static async start(scope: ConsumerScope, options: ConsumeOptions): Promise<QueueConsumer> {
    const { client, prefix } = scope;
    const { name, lockDurationMs } = options.queue;
    const workerId = randomUUID();
    const backend = await openJobBackend(client, { prefix, queue: name }, { lockDurationMs, workerId });
    // The name by which BullMQ's tools count a queue's workers.
    const connectionName = `${backend.clientName()}:w:${process.pid}`;
    const blocking = client.duplicate({ connectionName, autoResendUnfulfilledCommands: false });
    blocking.on('error', () => {});
    await blocking.connect();
    const consumer = new QueueConsumer({ ...scope, workerId, backend, blocking }, options);
    try {
      await consumer.#enter();
      return consumer;
    } catch (error) {
      consumer.#loop.stop();
      consumer.#closeTimers();
      throw error;
    }
  }

  private constructor(scope: OpenScope, options: ConsumeOptions) {
    const { client, prefix, guard, slot, workerId, backend, blocking } = scope;
    const { queue, concurrency } = options;
    const place = { prefix, queue: queue.name };
    this.#client = client;
    this.#prefix = prefix;
    this.#options = options;
    this.#toDelivery = createToDelivery({ client, place, backend, workerId });
    this.#schedulers = createSchedulers(client, place, backend);
    this.#report = createTroubleReport(options.onTrouble);
    const durationMs = queue.lockDurationMs;
    this.#locks = createLocks({ client, guard, place, workerId, durationMs, onTrouble: this.#report });
    this.cancels = createCancelWatch({ client, place, workerId, locks: this.#locks, onTrouble: this.#report });
    this.#records = createWorkerRecords({ client, ...place, workerId, slot, silentMs: 3 * queue.stalledCheckMs });
    this.#loop = createFetchLoop({
      backend,
      blocking,
      markerKey: this.#key('marker'),
      workerId,
      room: () => concurrency - this.#locks.holds.size,
      take: (job, token, sentAt) => this.#take(job, token, sentAt),
      onTrouble: this.#report,
      onProgress: () => this.#moved(),
    });
    this.#check = createStalledCheck({
      client,
      place,
      workerId,
      intervalMs: queue.stalledCheckMs,
      locks: this.#locks,
      onLook: () => this.#watchLoop(),
      onStalled: options.onRecovered,
      onSilence: () => client.disconnect(true),
      onTrouble: this.#report,
    });
    this.#settling = {
      client,
      backend,
      locks: this.#locks,
      place,
      retention: queue.retention,
      // The job that is being settled still counts: the next one takes its place.
      mayFetch: () => this.#loop.open && this.#locks.holds.size <= concurrency,
      onTrouble: this.#report,
    };
  }

  #key(name: string): string {
    return queueKey(this.#prefix, this.#options.queue.name, name);
  }

  async #enter(): Promise<void> {
    await this.#client.sadd(queuesKey(this.#prefix), this.#options.queue.name);
    await this.#client.hset(this.#key('meta'), 'opts.maxLenEvents', maxEvents);
    await this.#records.enter();
    await this.recoverDead();
    this.#loop.start();
  }

  async recoverDead(): Promise<void> {
    const recovered = await this.#records.recoverDead();
    if (recovered.length > 0) this.#options.onRecovered(recovered);
  }

  #moved(): void {
    this.#movedAt = performance.now();
    this.#kicked = false;
  }

  /** Redis has just answered, so a loop that does not move has stopped by itself: it is woken up, then given up. */
  #watchLoop(): void {
    if (!this.#loop.mayFetch || performance.now() - this.#movedAt < stuckMs) return;
    if (this.#kicked) {
      const seen = `Queue "${this.#options.queue.name}" has fetched nothing for ${stuckMs / 1_000} s although Redis answers.`;
      this.#options.onDead(new IsletError('E_FETCH_STOPPED', `${seen} The worker has to be replaced.`));
    }
    this.#kicked = true;
    this.#loop.kick();
  }

  #take(job: FetchedJob, token: string, sentAt: number): void {
    const known = this.#locks.holds.get(job.id);
    if (known && !(known.abort.reason instanceof LockLostError)) {
      // It came back while its code still runs here: that run goes on under the new lock.
      if (!known.ended) this.#locks.adopt(known, job, token);
      else known.again = { job, token, sentAt };
      return;
    }
    this.#deliveries += 1;
    void this.#deliver(job, this.#locks.hold(job, token), sentAt);
  }

  /** Never rejects. */
  async #deliver(job: FetchedJob, hold: Hold, sentAt: number): Promise<void> {
    let written: Outcome = { kind: 'lost' };
    try {
      // The answer lay unread while the process was blocked or frozen, and nobody renewed its lock.
      const late = performance.now() - sentAt > this.#options.queue.lockDurationMs / 2;
      if (late && (await this.#locks.takeBack(hold)) !== 'held') return;
      const outcome = await this.#run(job, hold);
      hold.ended = true;
      const next = await this.#settle(job, hold, outcome);
      written = next.outcome;
      this.#locks.drop(hold);
      if (hold.cancelled) this.cancels.told(job.id);
      this.#moved();
      if (next.fetched.job) this.#take(next.fetched.job, next.token, next.sentAt);
    } catch (error) {
      this.#report(error);
    } finally {
      this.#locks.drop(hold);
      this.#options.onSettled?.(toEnded(this.#options.queue.name, job), written);
      // Its outcome was written before it came back: another delivery.
      if (hold.again) this.#take(hold.again.job, hold.again.token, hold.again.sentAt);
      this.#deliveries -= 1;
      this.#onDrop();
      this.#loop.wake();
    }
  }

  /** Writes how a delivery ended. When this worker has fetched the job again by then, it is done all the same. */
  async #settle(job: FetchedJob, hold: Hold, outcome: Outcome): ReturnType<typeof settle> {
    try {
      return await settle(this.#settling, { job, hold, outcome });
    } catch (error) {
      const { again } = hold;
      if (!(error instanceof LockLostError) || !again) throw error;
      hold.again = undefined;
      this.#locks.adopt(hold, again.job, again.token);
      return settle(this.#settling, { job, hold, outcome });
    }
  }

  async #run(job: FetchedJob, hold: Hold): Promise<Outcome> {
    // What a fetch in flight brought after the stop.
    if (!this.#loop.running) return { kind: 'released', counted: false };
    if (job.deferredFailure !== undefined) return failUnrun('E_JOB_DEPENDENCIES', job.deferredFailure);
    let input: unknown;
    try {
      input = JSON.parse(job.data);
    } catch (error) {
      const said = (error as Error).message;
      return failUnrun('E_PAYLOAD_INVALID', `The stored payload of job "${job.id}" is not JSON: ${said}`);
    }
    if (job.repeatJobKey !== undefined) await this.#schedulers.makeNext(job).catch(this.#report);
    const stored = job.memory.crashes;
    const crashes = stored.length === 0 ? [] : await this.#records.proveCrashes(stored);
    return this.#options.run(this.#toDelivery(job, hold, { input, crashes }));
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
    await this.#loop.pause();
    if (jobId !== undefined) await this.#records.sayWaiting(jobId);
    while (this.#loop.running && this.#locks.holds.size > most) {
      await this.#nextDrop();
    }
    if (jobId !== undefined) await this.#records.sayAlone(jobId);
  }

  async rejoin(jobId?: string): Promise<void> {
    const hold = jobId === undefined ? undefined : this.#locks.holds.get(jobId);
    if (hold) hold.cleared = true;
    if (jobId !== undefined) await this.#records.sayAgainMany().catch(this.#report);
    this.#loop.resume();
  }

  stop(): void {
    if (!this.#loop.running) return;
    this.#loop.stop();
    this.#onDrop();
    this.#records.sayStopping().catch(this.#report);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.stop();
    await this.#loop.done;
    while (this.#deliveries > 0) await this.#nextDrop();
    this.#closeTimers();
    await this.#records.leave();
  }

  #closeTimers(): void {
    this.#check.close();
    this.#locks.close();
  }
}
