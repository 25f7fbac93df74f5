import { CancelledError, LockLostError } from '../errors.ts';
import { JobAbort } from '../job-abort.ts';
import type { FetchedJob } from './bullmq-internals.ts';
import { lockSuffix } from './bullmq-names.ts';
import { renewLocks } from './scripts.ts';
import type { WorkerScope } from './worker-scope.ts';

/** The fate of a lock: this worker has it, the job was settled already, or another worker has the job. */
type LockState = 'held' | 'settled' | 'lost';

const nothing = () => {};

/** A job that this worker holds, from its fetch until it is settled. */
export class Hold {
  readonly jobId: string;
  readonly abort = new JobAbort();
  /** The token and the number of the last fetch. A redelivery of a job that still runs here brings new ones. */
  token: string;
  starts: number;
  /** The job's code has ended, and its outcome is being written. */
  ended = false;
  /** The job as it was fetched again meanwhile: its outcome was written before, or has to be under this new lock. */
  again: TakenJob | undefined;
  /** Called when the hold is dropped, for a redelivery that waits for that. */
  onDrop: (() => void) | undefined;
  /** The job was cancelled too late for its abort: it is looked at again when its outcome is written. */
  cancelled = false;
  /** The job ran with no other job beside it. If it also ends by itself, it is suspected of no crash any more. */
  cleared = false;
  letGo = nothing;

  constructor({ id, token, attemptsStarted }: FetchedJob) {
    this.jobId = id;
    this.token = token;
    this.starts = attemptsStarted;
  }

  /** Aborts the job. Returns whether it ends as cancelled: not if its outcome is made, or its abort had another reason. */
  cancel(reason: string): boolean {
    if (this.ended || this.abort.isDecided) return false;
    this.abort.abort(new CancelledError(this.jobId, reason));
    return this.abort.reason instanceof CancelledError;
  }
}

/** A fetched job with its hold. It has none when it came back while its code still runs here: that run goes on. */
export interface TakenJob extends FetchedJob {
  hold?: Hold;
}

/** The wait after a refused renewal: so short that nobody takes the jobs for stalled before the next one. */
const renewAgainMs = 500;

/**
 * Keeps the locks of running jobs. It renews them every quarter of their duration, so that half of it is always left,
 * and takes one back after an outage if nobody else has fetched the job. A lock that is lost aborts its job.
 */
export class Locks {
  readonly #scope: WorkerScope;
  readonly #durationMs: number;
  readonly #holds = new Map<string, Hold>();
  readonly holds: ReadonlyMap<string, Hold> = this.#holds;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Ends the wait of `nextDrop`. */
  endWait = nothing;

  constructor(scope: WorkerScope) {
    this.#scope = scope;
    this.#durationMs = scope.options.queue.lockDurationMs;
    this.#arm(this.#durationMs / 4);
  }

  #arm(waitMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.renewNow(), waitMs);
  }

  hold(job: FetchedJob): Hold {
    const hold = new Hold(job);
    this.#holds.set(hold.jobId, hold);
    this.#tellGuard(hold);
    return hold;
  }

  /** Lets the run of a job that came back go on under the new lock. */
  adopt(hold: Hold, { token, attemptsStarted: starts }: FetchedJob): void {
    hold.letGo();
    Object.assign(hold, { token, starts });
    this.#tellGuard(hold);
  }

  drop(hold: Hold): void {
    hold.letGo();
    if (this.#holds.get(hold.jobId) === hold) this.#holds.delete(hold.jobId);
    this.endWait();
  }

  nextDrop(): Promise<void> {
    return new Promise((resolve) => {
      this.endWait = resolve;
    });
  }

  #tellGuard(hold: Hold): void {
    const { queue, workerId, guard } = this.#scope;
    const { workersKey, name } = queue;
    if (!guard) return;
    const { jobId, token } = hold;
    const [key, durationMs] = [queue.key(jobId) + lockSuffix, this.#durationMs];
    hold.letGo = guard.hold({ key, token, durationMs, workersKey, workerId, queue: name, jobId });
  }

  /** Asks whether a job is still this worker's, and takes its lock back where that is possible. */
  async takeBack(hold: Hold): Promise<LockState> {
    return (await this.#renew([hold]))[0] ?? 'lost';
  }

  /** Renews all locks, after an outage before anybody takes their jobs for stalled. */
  async renewNow(): Promise<void> {
    clearTimeout(this.#timer);
    let waitMs = this.#durationMs / 4;
    await this.#renewAll().catch((error) => {
      waitMs = renewAgainMs;
      this.#scope.onTrouble(error);
    });
    this.#arm(waitMs);
  }

  async #renewAll(): Promise<void> {
    const asked = Array.from(this.#holds.values(), (hold) => ({ hold, token: hold.token }));
    if (asked.length === 0) return;
    const states = await this.#renew(asked.map(({ hold }) => hold));
    for (const [index, { hold, token }] of asked.entries()) {
      // The job was settled meanwhile, or fetched and adopted again under another token.
      const changed = this.#holds.get(hold.jobId) !== hold || hold.token !== token;
      if (states[index] === 'lost' && !changed) hold.abort.abort(new LockLostError(hold.jobId));
    }
  }

  async #renew(wanted: Hold[]): Promise<LockState[]> {
    const { queue } = this.#scope;
    const jobs = wanted.flatMap(({ jobId, token, starts }) => [jobId, token, starts]);
    return (await queue.run(renewLocks, [queue.keyStart, this.#durationMs, ...jobs])) as LockState[];
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
