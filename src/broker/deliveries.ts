import { IsletError, LockLostError } from '../errors.ts';
import { noMeta } from '../manifest/meta.ts';
import { mostUnsettled, tellUnsettled } from '../unsettled.ts';
import type { Crash, Delivery, EndedJob, Outcome } from './broker.ts';
import type { FetchedJob } from './bullmq-internals.ts';
import { lookForCancel } from './cancel.ts';
import { corrupt } from './faults.ts';
import { isStamped, readStamp } from './job-options.ts';
import { progressMessage } from './kept-result.ts';
import type { Hold, Locks, TakenJob } from './locks.ts';
import { forgetRun } from './put-back.ts';
import type { Delivered } from './queue-worker.ts';
import { readJson } from './read-stored.ts';
import { writeFence } from './scripts.ts';
import { failUnrun, Settler } from './settle.ts';
import { proveCrashes } from './worker-records.ts';
import type { WorkerScope } from './worker-scope.ts';

/** Makes what the worker is handed of a fetched job; one that was cancelled meanwhile arrives aborted. */
function toDelivery(job: FetchedJob, hold: Hold, crashes: Crash[], scope: WorkerScope): Delivery {
  const { queue, workerId } = scope;
  const { opts } = job;
  const { version, keepResultMs, meta = noMeta } = readStamp(opts);
  if (job.memory.cancel !== undefined) hold.cancel(job.memory.cancel);
  return {
    queue: queue.name,
    task: job.name,
    jobId: job.id,
    input: job.data,
    version,
    keepResultMs,
    retries: isStamped(opts) ? undefined : { attempts: opts.attempts, backoff: opts.backoff },
    memory: { ...job.memory, crashes },
    meta,
    enqueuedAt: job.timestamp,
    startedAt: job.processedOn,
    attempt: job.attemptsMade + 1,
    wasPutBack: job.wasPutBack,
    abort: hold.abort,
    reportProgress: (value) => reportProgress(job, value, scope),
    async markStarted() {
      const { starts, token } = hold;
      return (await queue.run(writeFence, [token, `${workerId}:${starts}`], job.id)) === 1;
    },
  };
}

/** Writes a job's progress, and wakes those who wait for its result. A progress that is no JSON rejects. */
async function reportProgress(job: FetchedJob, value: number | object, { queue, backend }: WorkerScope): Promise<void> {
  await backend.updateProgress(job.id, value);
  // The task may change the object later.
  job.progress = readJson<FetchedJob['progress']>(JSON.stringify(value), undefined).value;
  if (readStamp(job.opts).keepResultMs) await queue.client.publish(queue.resultChannel(job.id), progressMessage);
}

/** Describes a job whose delivery is over. The payload is parsed when somebody reads it. */
function toEnded(queue: string, job: FetchedJob): EndedJob {
  const { id, name, attemptsMade, payloadJson, problem, opts, timestamp, processedOn } = job;
  return {
    queue,
    task: name,
    jobId: id,
    attempt: attemptsMade + 1,
    meta: readStamp(opts).meta ?? noMeta,
    enqueuedAt: timestamp,
    startedAt: processedOn,
    get input() {
      return problem === undefined ? JSON.parse(payloadJson) : payloadJson;
    },
  };
}

/** The jobs of one queue that this worker has: from their fetch until it is written how they ended. */
export class Deliveries {
  readonly #scope: WorkerScope;
  readonly #locks: Locks;
  readonly #settler: Settler;

  constructor(scope: WorkerScope, locks: Locks) {
    this.#scope = scope;
    this.#locks = locks;
    this.#settler = new Settler(scope, locks);
  }

  /** Takes a job that was fetched. If it came back while its code still runs here, that run goes on under the new lock. */
  take(job: TakenJob): void {
    const known = this.#locks.holds.get(job.id);
    if (!known || known.abort.reason instanceof LockLostError) job.hold = this.#locks.hold(job);
    else if (known.ended) known.again = job;
    else this.#locks.adopt(known, job);
  }

  /** Runs a job that was taken, and writes how it ended. Never rejects. */
  async deliver(job: TakenJob, mayFetch: () => boolean): Promise<Delivered | undefined> {
    if (!job.hold) await this.#dropped(job);
    const { hold } = job;
    if (!hold) return undefined;
    const { options, onTrouble } = this.#scope;
    const locks = this.#locks;
    let written: Outcome = { kind: 'lost' };
    try {
      // The answer lay unread while the process was blocked or frozen, and nobody renewed its lock.
      const late = performance.now() - job.sentAt > options.queue.lockDurationMs / 2;
      if (late && (await locks.takeBack(hold)) !== 'held') return undefined;
      const outcome = await this.#run(job, hold);
      hold.ended = true;
      const settled = await this.#settler.settle({ job, hold, outcome, mayFetch });
      written = settled.outcome;
      if (hold.cancelled) {
        locks.drop(hold);
        void lookForCancel(this.#scope, locks, job.id).catch(onTrouble);
      }
      return settled;
    } catch (error) {
      onTrouble(error);
      if (!(error instanceof LockLostError)) await this.#settler.giveUp(job, hold);
      return undefined;
    } finally {
      locks.drop(hold);
      // The job came back after its outcome was written: this is another delivery of it.
      if (hold.again) hold.again.hold = locks.hold(hold.again);
      this.#tell(job, written);
      hold.onDrop?.();
    }
  }

  #tell(job: TakenJob, written: Outcome): void {
    const { options, onTrouble } = this.#scope;
    try {
      options.onSettled?.(toEnded(options.queue.name, job), written);
    } catch (error) {
      onTrouble(error);
    }
  }

  /** Reports a job that fails without a run: no line of its own would tell it. */
  #report(job: TakenJob, outcome: ReturnType<typeof failUnrun>): Outcome {
    const { code, causeMessage } = outcome.failure;
    this.#scope.onTrouble(new IsletError(code, causeMessage));
    return { ...outcome, keepResultMs: readStamp(job.opts).keepResultMs };
  }

  /** Waits until the outcome of a job's last run is written, when the job came back while that is being done. */
  async #dropped(job: TakenJob): Promise<void> {
    const hold = this.#locks.holds.get(job.id);
    if (hold?.again !== job) return;
    const { onDrop } = hold;
    await new Promise<void>((resolve) => {
      hold.onDrop = () => {
        onDrop?.();
        resolve();
      };
    });
  }

  #run(job: TakenJob, hold: Hold): Outcome | Promise<Outcome> {
    const { queue, backend } = this.#scope;
    // A fetch in flight brought the job after the stop.
    if (backend.wait.isStopped) return { kind: 'released', counted: false };
    return job.wasPutBack ? forgetRun(queue, hold).then(() => this.#start(job, hold)) : this.#start(job, hold);
  }

  #start(job: TakenJob, hold: Hold): Outcome | Promise<Outcome> {
    const { options } = this.#scope;
    const { id, problem, deferredFailure, memory } = job;
    if (problem !== undefined) return this.#report(job, { kind: 'failed', failure: corrupt(id, problem), unrun: true });
    const { keepResultMs } = readStamp(job.opts);
    if (deferredFailure !== undefined) return failUnrun('E_JOB_DEPENDENCIES', deferredFailure, keepResultMs);
    if (memory.unsettled >= mostUnsettled)
      return this.#report(job, failUnrun('E_INTERNAL', tellUnsettled(id), keepResultMs));
    const { crashes } = memory;
    const run = (proven: Crash[]) => options.run(toDelivery(job, hold, proven, this.#scope));
    return crashes.length === 0 ? run([]) : proveCrashes(this.#scope, crashes).then(run);
  }
}
