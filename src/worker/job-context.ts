import type { AwilixContainer } from 'awilix';
import type { Delivery, EndedJob, NewJob } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import { checkOptions } from '../manifest/check-options.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';
import { type Redaction, redactionOf } from '../manifest/redact.ts';
import { rewriteLines } from '../rewrite-lines.ts';
import { tryTo } from '../thrown.ts';
import { type AtLeastOnceContext, type ChildOptions, type Enqueue, verdicts } from './task-context.ts';

/** The part of a delivery that a context needs. In a thread or process of a pool there is no more of it. */
type Delivered = Omit<Delivery, 'version' | 'memory' | 'keepResultMs' | 'startedAt' | 'markStarted'>;

export type Scope = Pick<AwilixContainer<object>, 'cradle' | 'dispose'>;

/** How a worker enqueues for its tasks; it is handed in, because a worker knows no producer. */
export interface ChildJobs {
  /** `meta` is that of the job that enqueues. */
  prepare(manifest: AnyTask, payload: unknown, options: ChildOptions & { id: string }, meta: JobMeta): Promise<NewJob>;
  send(jobs: NewJob[]): Promise<void>;
  deriveId(parent: string, index: number): string;
}

/** What the contexts of one queue's jobs share. */
export interface ContextHost {
  log: Log;
  children: ChildJobs;
  queue: { openScope(): Scope };
}

/**
 * What a task is given. Each part is made when the task touches it: a scope takes 15 µs and a signal 10, all else that a
 * worker does for a job about 30. The getters stand on a class, since an object with getters of its own is slow to make.
 */
export class JobContext implements AtLeastOnceContext<object> {
  readonly attempt: number;
  readonly jobId: string;
  readonly snooze = verdicts.snooze;
  readonly rateLimited = verdicts.rateLimited;
  readonly #delivery: Delivered;
  readonly #manifest: AnyTask;
  readonly #host: ContextHost;
  #scope: Scope | undefined;
  #log: Log | undefined;
  #progress: Progress | undefined;
  #enqueue: Enqueue | undefined;

  constructor(delivery: Delivered, manifest: AnyTask, host: ContextHost) {
    this.attempt = delivery.attempt;
    this.jobId = delivery.jobId;
    this.#delivery = delivery;
    this.#manifest = manifest;
    this.#host = host;
  }

  get deps(): object {
    this.#scope ??= this.#host.queue.openScope();
    return this.#scope.cradle;
  }

  get meta(): JobMeta {
    return this.#delivery.meta;
  }

  get signal(): AbortSignal {
    return this.#delivery.abort.signal;
  }

  get log(): Log {
    this.#log ??= createJobLog(this.#delivery, this.#manifest, this.#host.log);
    return this.#log;
  }

  get progress(): Progress['report'] {
    this.#progress ??= createProgress((value) => this.#delivery.reportProgress(value));
    return this.#progress.report;
  }

  get enqueue(): Enqueue {
    const { queue, jobId, enqueuedAt, meta } = this.#delivery;
    // Ids are unique in a queue only, and BullMQ's own start at 1 again when a queue was emptied.
    this.#enqueue ??= createEnqueue({ key: `${queue}\n${jobId}\n${enqueuedAt}`, meta }, this.#host.children);
    return this.#enqueue;
  }

  /** Sends the last progress. Returns nothing when the task has reported none. */
  flush(): Promise<void> | undefined {
    return this.#progress?.flush();
  }

  /** Disposes of the job's dependencies. Returns nothing when the task has touched none. */
  dispose(): Promise<void> | undefined {
    return this.#scope?.dispose();
  }
}

export function identify({ queue, task, jobId, attempt }: Pick<EndedJob, 'queue' | 'task' | 'jobId' | 'attempt'>) {
  return { queue, task, jobId, attempt };
}

/** Creates the logger of a job, which hides the fields and the values that its manifest redacts. */
function createJobLog(delivery: Delivered, manifest: AnyTask, log: Log): Log {
  const own = log.child(identify(delivery));
  const redaction = redactionOf(manifest, delivery);
  if (redaction) rewriteLines(own, (line) => redactLine(line, redaction));
  return own;
}

/** What a line says of itself, and not of the payload. */
const lineFields = new Set(['level', 'time', 'pid', 'queue', 'task', 'jobId', 'attempt']);

function redactLine(line: string, redaction: Redaction): string {
  const fields = Object.entries((tryTo(() => JSON.parse(line)) as object | undefined) ?? { msg: redaction.text(line) });
  const told = fields.map(([name, value]) => {
    if (lineFields.has(name)) return [name, value];
    return Object.entries(redaction.json({ [name]: value }) as object)[0] ?? [];
  });
  return `${JSON.stringify(Object.fromEntries(told))}\n`;
}

const passed = () => undefined;
/** The names of what a task may set; the producer's own check looks at the values. */
const childChecks = { delayMs: passed, priority: passed, keepResultMs: passed };

/** Creates the `enqueue` of the job with this key: the n-th call always gets the same id. */
export function createEnqueue({ key, meta }: { key: string; meta: JobMeta }, jobs: ChildJobs): Enqueue {
  let index = 0;
  return async (manifest, payload, options = {}) => {
    checkOptions('An option of enqueue', options, [], childChecks, 'E_ENQUEUE_OPTIONS_INVALID');
    const id = jobs.deriveId(key, index++);
    await jobs.send([await jobs.prepare(manifest, payload, { ...options, id }, meta)]);
    return { id };
  };
}

/** Each report of progress costs Redis a command and an event. */
const progressEveryMs = 1_000;

type Progress = ReturnType<typeof createProgress>;

/** Creates a job's progress: at most one report a second is sent, and the last one before the job's end. */
function createProgress(send: (value: number | object) => Promise<void>) {
  let sentAt = Number.NEGATIVE_INFINITY;
  let waiting: number | object | undefined;
  let sending: Promise<void> = Promise.resolve();
  const sendNow = (value: number | object) => {
    sentAt = performance.now();
    waiting = undefined;
    // Progress is a courtesy: a job does not fail because Redis missed one.
    sending = send(value).catch(() => {});
  };
  return {
    report(value: number | object): void {
      if (performance.now() - sentAt >= progressEveryMs) sendNow(value);
      else waiting = value;
    },
    async flush(): Promise<void> {
      if (waiting !== undefined) sendNow(waiting);
      await sending;
    },
  };
}
