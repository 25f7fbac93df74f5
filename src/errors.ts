/** An error of Islet's own. Its `code` is stable and stands in docs/errors.md; the message says what to do. */
export class IsletError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'IsletError';
    this.code = code;
  }
}

/** What became of the items of an `enqueueMany` that failed half-way. Repeating `uncertain` with their ids is safe. */
export interface EnqueueProgress {
  accepted: string[];
  /** Redis said no to these, or their ids stand for jobs of other tasks: they are not in. */
  refused: string[];
  uncertain: string[];
  notSent: string[];
}

/** Thrown by an enqueue that Redis did not confirm, with the ids of its jobs. */
export class EnqueueError extends IsletError {
  readonly jobs: EnqueueProgress;

  constructor(code: string, message: string, jobs: EnqueueProgress, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'EnqueueError';
    this.jobs = jobs;
  }
}

/** Thrown where an id stands for a job of another task; `fate` says what was not done. */
export class JobIdTakenError extends IsletError {
  constructor(wanted: { queue: string; id: string; task: string }, holder: string, fate: string) {
    const { queue, id, task } = wanted;
    const seen = `The id "${id}" of queue "${queue}" stands for a job of task "${holder}", not of "${task}".`;
    super('E_JOB_ID_TAKEN', `${seen} ${fate} Use an id that names its task, too.`);
    this.name = 'JobIdTakenError';
  }
}

// Code of an app may throw anything: to ask what it is must not throw, as a Proxy's own trap does.
Object.defineProperty(IsletError, Symbol.hasInstance, {
  value(this: typeof IsletError, value: unknown): boolean {
    try {
      return Function.prototype[Symbol.hasInstance].call(this, value);
    } catch {
      return false;
    }
  },
});

/** An error behind the one that was thrown: a cause of it, or one of those that it consists of. */
export interface FailureCause {
  readonly name: string;
  readonly message: string;
  /** The error's own code, such as "ECONNREFUSED". */
  readonly code?: string;
  readonly detail?: string;
}

/** What was thrown, in words: bounded, and without redacted values. */
export interface TaskFailure {
  readonly code: string;
  readonly causeName: string;
  readonly causeMessage: string;
  /** The thrown error's own code, such as "ECONNREFUSED", and its detail. */
  readonly causeCode?: string;
  readonly causeDetail?: string;
  /** What stands behind the thrown error, the nearest first. */
  readonly causes?: readonly FailureCause[];
}

/** Tells one error in one line. */
export function tellCause({ name, message, code, detail }: FailureCause): string {
  const isNew = code !== undefined && !message.includes(code);
  const more = [...(isNew ? [code] : []), ...(detail === undefined ? [] : [detail])];
  return `${name}: ${message}${more.length > 0 ? ` (${more.join(': ')})` : ''}`;
}

/** Tells what was thrown, with all that stands behind it, in one line. */
export function tellFailure({ causeName, causeMessage, causeCode, causeDetail, causes = [] }: TaskFailure): string {
  const own = { name: causeName, message: causeMessage, code: causeCode, detail: causeDetail };
  return [own, ...causes].map(tellCause).join('; caused by ');
}

/** Thrown by `handle.result()` when the job failed for good. */
export class TaskFailedError extends IsletError implements TaskFailure {
  readonly jobId: string;
  readonly causeName: string;
  readonly causeMessage: string;
  readonly causeCode?: string;
  readonly causeDetail?: string;
  readonly causes: readonly FailureCause[];

  constructor(jobId: string, failure: TaskFailure) {
    super(failure.code, `Job "${jobId}" failed: ${tellFailure(failure)}`);
    const { causeName, causeMessage, causeCode, causeDetail, causes = [] } = failure;
    this.name = 'TaskFailedError';
    this.jobId = jobId;
    this.causeName = causeName;
    this.causeMessage = causeMessage;
    if (causeCode !== undefined) this.causeCode = causeCode;
    if (causeDetail !== undefined) this.causeDetail = causeDetail;
    this.causes = causes;
  }
}

/** Thrown by a task to fail its job now, whatever attempts remain. */
export class PermanentError extends IsletError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('E_TASK_PERMANENT', message, options);
    this.name = 'PermanentError';
  }
}

/** Why a job's signal was aborted by its `timeoutMs`. */
export class TimeoutError extends IsletError {
  constructor(task: string, timeoutMs: number) {
    super('E_TASK_TIMEOUT', `Task "${task}" did not finish within its timeoutMs of ${timeoutMs} ms.`);
    this.name = 'TimeoutError';
  }
}

/** Why a job's signal was aborted when another worker may have taken the job: its outcome is dropped. */
export class LockLostError extends IsletError {
  constructor(jobId: string) {
    super('E_LOCK_LOST', `The lock of job "${jobId}" was lost: another worker may run it now. Its outcome is dropped.`);
    this.name = 'LockLostError';
  }
}

/** Why a job's signal was aborted when its worker stops before the job could end. */
export class ReleasedError extends IsletError {
  constructor(jobId: string) {
    super('E_JOB_RELEASED', `Job "${jobId}" was given back because its worker stops. It will run again.`);
    this.name = 'ReleasedError';
  }
}

/** Why a job's signal was aborted when somebody cancelled the job. It ends as cancelled, with no further attempt. */
export class CancelledError extends IsletError {
  constructor(jobId: string, reason: string) {
    super('E_JOB_CANCELLED', `Job "${jobId}" was cancelled: ${reason}`);
    this.name = 'CancelledError';
  }
}

/** Why a job failed whose code ended its thread or process of a pool, by running out of memory, an exit or a crash. */
export class PoolCrashedError extends IsletError {
  constructor(message: string) {
    super('E_POOL_CRASHED', message);
    this.name = 'PoolCrashedError';
  }
}

/** Thrown by a task, and made by its context's `snooze`, to run the job again later at no attempt. */
export class SnoozeError extends IsletError {
  readonly delayMs: number;

  constructor(delayMs: number) {
    super('E_TASK_SNOOZED', `The task asked to run this job again in ${delayMs} ms.`);
    this.name = 'SnoozeError';
    this.delayMs = delayMs;
  }
}

/** Thrown by a task, and made by its context's `rateLimited`, to let its queue give no job for a while, at no attempt. */
export class RateLimitedError extends IsletError {
  readonly delayMs: number;

  constructor(delayMs: number) {
    super('E_TASK_RATE_LIMITED', `The task asked its queue to give no job for ${delayMs} ms.`);
    this.name = 'RateLimitedError';
    this.delayMs = delayMs;
  }
}

/** Hides what stands before the last '@' of the host of each URL in a word. */
function hideUsers(word: string): string {
  let shown = '';
  let from = 0;
  for (let at = word.indexOf('://'), end = 0; at >= 0; at = word.indexOf('://', end - 1)) {
    const slash = word.indexOf('/', at + 3);
    end = slash < 0 ? word.length : slash;
    const user = word.slice(at + 3, end).lastIndexOf('@');
    if (user <= 0) continue;
    shown += `${word.slice(from, at + 3)}***`;
    from = at + 3 + user;
  }
  return shown + word.slice(from);
}

function hideInWord(word: string): string {
  const redis = /rediss?(:\/\/|:|\/\/)/i.exec(word);
  const last = word.lastIndexOf('@');
  if (redis && redis.index + redis[0].length <= last) {
    return `${word.slice(0, redis.index + redis[0].length)}***${word.slice(last)}`;
  }
  // Without a host, the password stands where a port would.
  const hidden = redis ? word.replace(/(rediss?:\/\/[^/:@[]*:)(?!\d{1,5}(?!\w))[^/?"']+/gi, '$1***') : word;
  return last < 0 ? hidden : hideUsers(hidden);
}

/** Returns a text without the credentials of any URL in it; those of Redis may hold a bare '/', '@' or '"'. */
export function hidePasswords(text: string): string {
  // Each pattern looks at a character once: whole words first, since a search for what may begin anywhere begins everywhere.
  return text.replace(/\S+/g, hideInWord).replace(/([?&]password=)[^&\s]*/gi, '$1***');
}
