import type { JobJson, JobsOptions, KeepJobs, WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import {
  decodeFetch,
  type FetchedJob,
  type FetchReply,
  finishHoles,
  finishKeyCount,
  passUndecoded,
  timeArguments,
  toBullmq,
} from './bullmq-internals.ts';
import { sendEncoded } from './command-template.ts';
import { buryUnreadable, isScriptFault } from './faults.ts';
import { JobWait, mostWaitSeconds } from './job-wait.ts';
import { endWithResult } from './kept-result.ts';
import { memoryFields } from './memory.ts';
import { QueueBackend } from './queue-backend.ts';
import type { QueueHandle } from './queue-handle.ts';

/** What BullMQ's Worker reads of a fetch: a job, how long to wait for one, and when the next delayed job is due. */
export type NextJob = [json?: JobJson | null, id?: string, limitMs?: number, dueAt?: number];

export interface BackendHost {
  /** Called with a job that was fetched and locked: it is this worker's from now on. */
  onFetched(job: FetchedJob): void;
  /** Called when the queue was asked and has no job any more that may start now. */
  onDrained(): void;
  onTrouble(error: unknown): void;
}

/** How a job ends whose result is kept. */
interface KeptEnd {
  readonly token: string;
  readonly fetchNext: boolean;
  readonly keep: NonNullable<JobsOptions['removeOnFail']>;
  readonly resultJson: string;
  readonly keepMs: number;
  readonly endedAt: number;
  /** Undefined where the job is completed. */
  readonly failedReason?: string;
  readonly returnJson?: string | undefined;
  readonly fields?: Record<string, string | number>;
}

/** What a completed job keeps that is not removed. */
const completedFields = { [memoryFields.completed]: 1 };

/** How long the worker waits, in milliseconds, after Redis has refused a fetch. */
const troubleRestMs = 1_000;

/**
 * BullMQ's scripts for one queue, as its Worker calls them. A fetch is decoded once, with Islet's own fields of the
 * job's hash. Whatever keeps a worker from fetching does so in `waitForJob`: while BullMQ's loop waits there, it goes on
 * with the jobs that end meanwhile; while it waits for a fetch, it does not.
 */
export class JobBackend extends QueueBackend {
  readonly wait: JobWait;
  readonly #queue: QueueHandle;
  readonly #host: BackendHost;
  /** The reply to the settling of a job, kept for BullMQ's next question, which has to follow at once. */
  came: NextJob | undefined;
  #fetching: Promise<unknown> = Promise.resolve();
  /** Redis refused the last fetch. It may be full, and could still hand out jobs with a settling. */
  #troubled = false;
  #drained = false;

  /** `blocking` waits for jobs, and is closed with the backend. */
  constructor(queue: QueueHandle, blocking: Redis, host: BackendHost, options: WorkerOptions) {
    super(queue, options);
    this.#queue = queue;
    this.#host = host;
    this.wait = new JobWait(blocking, this.keys.marker ?? '', (error) => this.#refused(error));
  }

  get isOpen(): boolean {
    return !this.#troubled && this.wait.isOver;
  }

  override async execCommand(...command: Parameters<QueueBackend['execCommand']>): Promise<unknown> {
    const [, name, args] = command;
    // BullMQ takes the time of this machine.
    const at = timeArguments[name];
    if (at !== undefined) (args as unknown[])[at] = this.clock.now();
    return passUndecoded(name, await super.execCommand(...command));
  }

  /** Never rejects. BullMQ takes an empty answer for a wait that ended without a job. */
  override async moveToActive(token: string, name?: string): Promise<NextJob> {
    const { came } = this;
    this.came = undefined;
    if (came) return came;
    if (!this.wait.isOver) return [];
    this.wait.isDoubtful = false;
    const sentAt = performance.now();
    const fetching = super.moveToActive(token, name ?? '');
    this.#fetching = fetching;
    try {
      const reply = await fetching;
      this.#troubled = false;
      return this.receive(reply as FetchReply, token, sentAt);
    } catch (error) {
      if (await this.#setRight(error, token)) return this.moveToActive(token, name);
      this.#refused(error);
      return [];
    }
  }

  /** Fails the jobs that a fetch has met and cannot read. Returns false when it was not for such a job that it failed. */
  async #setRight(error: unknown, token: string): Promise<boolean> {
    if (!isScriptFault(error) || this.wait.isStopped) return false;
    const found = await buryUnreadable(this.#queue, token).catch(() => []);
    for (const each of found) this.#host.onTrouble(each);
    return found.length > 0;
  }

  /**
   * Completes a job as `moveToCompleted` does, and fetches the next one if `fetchNext`. `returnJson` is what BullMQ's tools
   * show as its result.
   */
  complete(job: FetchedJob, keep: KeepJobs, token: string, fetchNext: boolean, returnJson?: string): Promise<unknown> {
    const { id, opts, parentKey } = job;
    const plainly = () => {
      const kept = opts.removeOnComplete ?? keep;
      const call = [toBullmq(job), returnJson ?? 'null', 'returnvalue', kept, 'completed', token] as const;
      return this.moveToFinished(id, this.moveToFinishedArgs(...call, this.clock.now(), fetchNext, completedFields));
    };
    // A job whose own options change how it is completed fits no template, nor does one with a result.
    const isSpecial = parentKey !== undefined || opts.attempts || opts.removeOnComplete !== undefined;
    if (isSpecial || returnJson !== undefined) return plainly();
    const metrics = (this.queue.opts as WorkerOptions).metrics?.maxDataPoints;
    const toArgs = (at: number) => {
      const call = [toBullmq(job), 'null', 'returnvalue', keep, 'completed', token, at, fetchNext] as const;
      const fields = keep.count === 0 ? undefined : completedFields;
      return this.moveToFinishedArgs(...call, fields).map((argument) => (argument ?? '') as string);
    };
    const template = this.templateOf(`${fetchNext} ${token.length} ${metrics}`, 'moveToFinished', () => {
      return { args: [finishKeyCount, ...toArgs(0)], holes: finishHoles(token) };
    });
    if (!template) return plainly();
    const now = this.clock.now();
    const bytes = template.encode([this.toKey(id), id, String(now), token]);
    return sendEncoded(this.redis, bytes, () => this.evaluate('moveToFinished', toArgs(now)));
  }

  /** Ends a job whose result is kept: completed, or failed with these fields. */
  async endWithResult(job: FetchedJob, end: KeptEnd): Promise<unknown> {
    const { token, fetchNext, keep, failedReason, returnJson = 'null', resultJson, keepMs, endedAt } = end;
    const { fields = completedFields } = end;
    const [value, property, kind] =
      failedReason === undefined
        ? ([returnJson, 'returnvalue', 'completed'] as const)
        : ([failedReason, 'failedReason', 'failed'] as const);
    const call = [toBullmq(job), value, property, keep, kind, token, endedAt, fetchNext, fields] as const;
    const args = this.moveToFinishedArgs(...call).map((argument) => (argument ?? '') as string);
    const script = this.scriptOf('moveToFinished');
    if (!script) throw new Error('BullMQ has not defined its script "moveToFinished".');
    const finish = { ...script, args: [finishKeyCount, ...args] };
    return endWithResult(this.#queue, { jobId: job.id, token, resultJson, keepMs, finish });
  }

  /** Reads what came with the end of a job; throws what BullMQ's own scripts refuse, with its code. */
  receiveNext({ id }: FetchedJob, reply: unknown, token: string, sentAt: number): NextJob | undefined {
    if (typeof reply === 'number' && reply < 0) {
      throw this.finishedErrors({ code: reply, jobId: id, command: 'moveToFinished', state: 'active' });
    }
    return Array.isArray(reply) && reply.length > 0 ? this.receive(reply, token, sentAt) : undefined;
  }

  /** Reads what a command that fetches has brought. It was sent at `sentAt`: its lock is that old at most. */
  receive(reply: FetchReply, token: string, sentAt: number): NextJob {
    this.wait.moved();
    const { job, limitedMs, dueAt: sharedDueAt } = decodeFetch(reply, token, sentAt);
    // BullMQ waits by the clock of this machine.
    const dueAt = this.#toLocal(sharedDueAt);
    // BullMQ's own pause for a limit would last until a running job ends.
    if (limitedMs > 0) this.wait.restFor(Math.min(limitedMs, mostWaitSeconds * 1_000));
    if (job) {
      this.#drained = false;
      this.#host.onFetched(job);
      return [job as unknown as JobJson, job.id, 0, dueAt];
    }
    if (limitedMs === 0 && !this.#drained) {
      this.#drained = true;
      this.#host.onDrained();
    }
    return [null, undefined, 0, dueAt];
  }

  #refused(error: unknown): void {
    if (this.wait.isStopped) return;
    this.#troubled = true;
    this.wait.restFor(troubleRestMs);
    this.wait.moved();
    this.#host.onTrouble(error);
  }

  /** Waits for a mark, for at most so many seconds; `null` says that it is time to look. Never rejects. */
  override async waitForJob(seconds: number): ReturnType<QueueBackend['waitForJob']> {
    const mark = await this.wait.forMark(seconds);
    return mark && { ...mark, score: this.#toLocal(mark.score) };
  }

  /** The mark of a job that may start now, and the lack of a delayed one, are no time. */
  #toLocal(at: number): number {
    return at > 0 ? this.clock.toLocal(at) : at;
  }

  /** Fetches no job until `wait.rejoin`. Resolves when the fetch in flight was answered. */
  async isolate(): Promise<void> {
    this.wait.isIsolated = true;
    await this.#fetching.catch(() => {});
  }

  /** Ends the wait of BullMQ's Worker, before that pauses or closes. */
  override async disconnectBlocking(): Promise<void> {
    this.wait.interrupt();
  }

  /** Does nothing: `interrupt` has connected again. */
  override async reconnectBlocking(): Promise<void> {}

  override async close(): Promise<void> {
    this.wait.stop();
    // The connection is shared: nothing is closed, and nothing waited for.
    await super.close(true);
  }
}
