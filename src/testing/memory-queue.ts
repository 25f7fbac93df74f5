import type {
  Added,
  CancelFound,
  CancelRequest,
  FoundJob,
  JobPlace,
  JobToAdd,
  Outcome,
  QueueCounts,
  StoredResult,
} from '../broker/broker.ts';
import { CancelledError, JobIdTakenError, tellFailure } from '../errors.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { Clock } from '../worker/clock.ts';
import { factsOf, type JobState, type MemoryJob, placeOf, toJob } from './memory-job.ts';
import { MemoryKeys } from './memory-keys.ts';
import { MemoryResults } from './memory-results.ts';

interface Ended {
  job: MemoryJob;
  at: number;
}

/** Describes a job by its kept result. */
function toFound(queue: string, stored: StoredResult): FoundJob {
  const { task, attempts, progress, enqueuedAt, startedAt, endedAt } = stored;
  const facts = { queue, task, attempts, progress, enqueuedAt, startedAt, endedAt };
  if (stored.ok) return { ...facts, state: 'completed', result: stored.result };
  return { ...facts, state: 'failed', failure: { code: stored.code, message: tellFailure(stored) } };
}

/** What Redis keeps of one queue, and what its scripts do with it. */
export class MemoryQueue {
  readonly results: MemoryResults;
  readonly #clock: Clock;
  readonly #onReady: () => void;
  /** All jobs in the order in which they came. */
  readonly #all: MemoryJob[] = [];
  /** The jobs that are not gone, by id. */
  readonly #jobs = new Map<string, MemoryJob>();
  readonly #waiting: MemoryJob[] = [];
  readonly #prioritized: MemoryJob[] = [];
  /** The jobs that have ended and are kept, oldest first. */
  readonly #ended = { completed: [] as Ended[], failed: [] as Ended[] };
  readonly #keys: MemoryKeys;
  #limitedUntil = 0;

  /** `onReady` is called when a job may have become ready to run. */
  constructor(clock: Clock, onReady: () => void) {
    this.results = new MemoryResults(clock);
    this.#keys = new MemoryKeys(clock);
    this.#clock = clock;
    this.#onReady = onReady;
  }

  /** All jobs that were ever taken, in their order. */
  get all(): readonly MemoryJob[] {
    return this.#all;
  }

  /** Whether a job may start now. */
  get isReady(): boolean {
    return this.#clock.now() >= this.#limitedUntil && this.#waiting.length + this.#prioritized.length > 0;
  }

  /** When the next job may start, in milliseconds since 1970, if none may now. */
  get nextAt(): number | undefined {
    if (this.#waiting.length + this.#prioritized.length > 0) return this.#limitedUntil;
    const dueAt = [...this.#jobs.values()].flatMap((job) => (job.state === 'delayed' ? [job.dueAt ?? 0] : []));
    return dueAt.length > 0
      ? Math.max(
          this.#limitedUntil,
          dueAt.reduce((a, b) => Math.min(a, b)),
        )
      : undefined;
  }

  has(id: string): boolean {
    return this.#jobs.has(id);
  }

  add(given: JobToAdd): Added {
    const before = this.#jobs.has(given.id) ? given.id : this.#keys.holderOf(given.id);
    const taken = given.ownId === true && before !== undefined;
    const task = taken ? this.#all.findLast(({ id }) => id === before)?.task : undefined;
    if (this.#jobs.has(given.id)) return { id: given.id, accepted: !taken, task };
    const holder = this.#keys.holderFor(given);
    if (holder !== undefined && !this.#replace(holder, given)) {
      return { id: holder, accepted: holder === given.id && !taken, task };
    }
    const job = toJob(given, this.#clock.now());
    this.#keys.hold(given);
    this.#all.push(job);
    this.#jobs.set(job.id, job);
    if (job.delayMs) this.#delay(job, job.delayMs);
    else this.#append(job);
    return { id: job.id, accepted: true };
  }

  /** Takes the next job that may start. */
  take(): MemoryJob | undefined {
    const job = this.isReady ? (this.#waiting.shift() ?? this.#prioritized.shift()) : undefined;
    if (!job) return undefined;
    job.state = 'active';
    job.starts += 1;
    job.startedAt = this.#clock.now();
    return job;
  }

  settle(job: MemoryJob, outcome: Outcome, retention: QueueManifest['retention']): void {
    job.abort = undefined;
    if (['completed', 'failed', 'cancelled', 'retry'].includes(outcome.kind)) job.attemptsMade += 1;
    if (outcome.kind === 'completed') this.#complete(job, outcome, retention);
    else if (outcome.kind === 'failed' || outcome.kind === 'cancelled') this.#fail(job, outcome, retention);
    else if (outcome.kind === 'released' || outcome.kind === 'rateLimited') this.#giveBack(job, outcome);
    else if (outcome.kind !== 'lost') this.#putOff(job, outcome);
  }

  /** Throws `E_JOB_ID_TAKEN`. */
  cancel(queue: string, id: string, { reason, task }: CancelRequest): CancelFound {
    const job = this.#jobs.get(id);
    if (!job) return 'nowhere';
    if (task !== undefined && !task.includes(job.task)) {
      throw new JobIdTakenError({ queue, id, task: task[0] }, job.task, 'Nothing was cancelled.');
    }
    if (job.state === 'failed' || job.state === 'completed') return 'finished';
    job.memory.cancel = reason;
    if (job.state === 'active') {
      if (!job.abort || job.abort.isDecided) return 'asked';
      job.abort.abort(new CancelledError(id, reason));
      return job.abort.reason instanceof CancelledError ? 'running' : 'asked';
    }
    this.#endCancelled(job, reason);
    return 'waiting';
  }

  /** Looks where a job is, and what holds the queue up. */
  findPlace(id: string): Omit<JobPlace, 'workers'> {
    const now = this.#clock.now();
    const job = this.#jobs.get(id);
    const limitedMs = Math.max(0, this.#limitedUntil - now);
    return { at: placeOf(job), isPaused: false, limitedMs, dueInMs: Math.max(0, (job?.dueAt ?? now) - now) };
  }

  /** Reads a job, also one that is gone and whose result is kept. */
  read(queue: string, id: string): FoundJob | undefined {
    const job = this.#jobs.get(id);
    const hasEnded = job?.state === 'completed' || job?.state === 'failed';
    const stored = !job || hasEnded ? this.results.find(id) : undefined;
    if (!job || job.state === 'replaced') return stored && toFound(queue, stored);
    if (stored?.enqueuedAt === job.enqueuedAt) return toFound(queue, stored);
    const { state, failure } = job;
    const why = failure && { code: failure.code, message: tellFailure(failure) };
    return { queue, state, ...factsOf(job), failure: why };
  }

  reportProgress(job: MemoryJob, progress: number | object): void {
    // It travels as JSON.
    job.progress = JSON.parse(JSON.stringify(progress));
    this.results.tell(job.id, job.progress);
  }

  /** Waits for a job's result, and tells its progress meanwhile. */
  awaitResult(id: string, timeoutMs: number, onProgress?: (progress: unknown) => void) {
    const waiting = this.results.wait(id, timeoutMs, onProgress);
    // The caller goes on first, as with Redis.
    const progress = this.#jobs.get(id)?.progress;
    if (progress !== undefined) queueMicrotask(() => onProgress?.(structuredClone(progress)));
    return waiting;
  }

  counts(): QueueCounts {
    const counts = { waiting: 0, active: 0, delayed: 0, prioritized: 0, failed: 0, completed: 0 };
    for (const { state } of this.#jobs.values()) if (state !== 'replaced') counts[state] += 1;
    return counts;
  }

  #replace(holder: string, { dedupe }: JobToAdd): boolean {
    const old = this.#jobs.get(holder);
    if (dedupe?.mode !== 'debounce' || old?.state !== 'delayed') return false;
    this.#drop(old, 'replaced');
    return true;
  }

  #append(job: MemoryJob): void {
    const { priority } = job;
    job.state = priority === undefined ? 'waiting' : 'prioritized';
    if (priority === undefined) this.#waiting.push(job);
    else this.#insert(job, (other) => (other.priority ?? 0) > priority);
    this.#onReady();
  }

  #prepend(job: MemoryJob): void {
    const { priority } = job;
    job.state = priority === undefined ? 'waiting' : 'prioritized';
    if (priority === undefined) this.#waiting.unshift(job);
    else this.#insert(job, (other) => (other.priority ?? 0) >= priority);
    this.#onReady();
  }

  #insert(job: MemoryJob, isBehind: (other: MemoryJob) => boolean): void {
    const index = this.#prioritized.findIndex(isBehind);
    this.#prioritized.splice(index < 0 ? this.#prioritized.length : index, 0, job);
  }

  #delay(job: MemoryJob, ms: number): void {
    job.state = 'delayed';
    job.dueAt = this.#clock.now() + ms;
    job.stopTimer = this.#clock.startTimer(ms, () => this.#append(job));
  }

  #complete(
    job: MemoryJob,
    { resultJson, keepResultMs }: Extract<Outcome, { kind: 'completed' }>,
    retention: QueueManifest['retention'],
  ): void {
    this.#end(job, 'completed', retention);
    const result = resultJson === undefined ? {} : { result: JSON.parse(resultJson) };
    this.results.keep(job.id, { ok: true, ...factsOf(job), ...result }, keepResultMs);
  }

  #fail(
    job: MemoryJob,
    { failure, keepResultMs }: Extract<Outcome, { kind: 'failed' | 'cancelled' }>,
    retention?: QueueManifest['retention'],
  ): void {
    job.failure = failure;
    this.#end(job, 'failed', retention);
    const { stack: _, ...told } = failure;
    this.results.keep(job.id, { ok: false, ...told, ...factsOf(job) }, keepResultMs);
  }

  #end(job: MemoryJob, state: 'completed' | 'failed', retention?: QueueManifest['retention']): void {
    const now = this.#clock.now();
    job.state = state;
    job.endedAt = now;
    this.#keys.free(job.id);
    const ended = this.#ended[state];
    ended.push({ job, at: now });
    if (!retention) return;
    const [forMs, count] = [retention[`${state}ForMs`], retention[`${state}Count`]];
    while (ended.length > count || now - (ended[0]?.at ?? now) > forMs) {
      this.#jobs.delete(ended.shift()?.job.id ?? '');
    }
  }

  #endCancelled(job: MemoryJob, reason: string): void {
    this.#leaveLine(job);
    const { code, name, message } = new CancelledError(job.id, reason);
    const failure = { code, causeName: name, causeMessage: message, stack: '' };
    this.#fail(job, { kind: 'cancelled', failure, keepResultMs: job.keepResultMs });
  }

  #giveBack(job: MemoryJob, outcome: Extract<Outcome, { kind: 'released' | 'rateLimited' }>): void {
    const now = this.#clock.now();
    if (outcome.kind === 'released' && outcome.counted) job.memory.releases = [...job.memory.releases, now];
    if (outcome.kind === 'rateLimited') {
      this.#limitedUntil = Math.max(this.#limitedUntil, now + outcome.delayMs);
      this.#clock.startTimer(outcome.delayMs, this.#onReady);
    }
    job.memory.unknownSince = undefined;
    this.#prepend(job);
  }

  #putOff(job: MemoryJob, outcome: Extract<Outcome, { kind: 'retry' | 'snoozed' | 'postponed' }>): void {
    job.memory.unknownSince = outcome.kind === 'postponed' ? outcome.unknownSince : undefined;
    // The job was cancelled while its outcome was on its way.
    if (job.memory.cancel !== undefined) this.#endCancelled(job, job.memory.cancel);
    else this.#delay(job, Math.max(1, outcome.delayMs));
  }

  #leaveLine(job: MemoryJob): void {
    job.stopTimer();
    for (const line of [this.#waiting, this.#prioritized]) {
      const index = line.indexOf(job);
      if (index >= 0) line.splice(index, 1);
    }
  }

  #drop(job: MemoryJob, state: JobState): void {
    this.#leaveLine(job);
    this.#keys.free(job.id);
    job.state = state;
    this.#jobs.delete(job.id);
  }
}
