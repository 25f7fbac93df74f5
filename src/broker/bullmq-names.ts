// What BullMQ calls things in Redis, and how it writes numbers there. `bullmq-names.test.ts` compares each with BullMQ;
// what the code relies on beside them is in `bullmq-internals.ts`. This file imports nothing, because processes that
// load no BullMQ need the names, too.

/** The last parts of the keys of a queue. */
export const keyNames = {
  /** A list: the next job is the last one. */
  wait: 'wait',
  active: 'active',
  /** Sorted sets. The scores come from `priorityStep` in `prioritized`, and say when each job failed in `failed`. */
  prioritized: 'prioritized',
  delayed: 'delayed',
  waitingChildren: 'waiting-children',
  completed: 'completed',
  failed: 'failed',
  /** BullMQ 5 held the jobs of a paused queue here. */
  paused: 'paused',
  /** A sorted set: workers wait for a member. */
  marker: 'marker',
  /** A stream, which BullMQ's QueueEvents reads. */
  events: 'events',
  meta: 'meta',
  limiter: 'limiter',
  /** Counts the jobs with a priority, so that equal ones keep their order. */
  priorityCounter: 'pc',
} as const;

/** The names of all keys beside a queue's jobs, those of older versions included: no job can have such an id. */
export const takenNames: readonly string[] = [
  ...Object.values(keyNames),
  ...['bclient', 'de', 'dn', 'id', 'metrics', 'priority', 'repeat', 'stalled', 'stalled-check'],
];

/** The key of a job's lock ends with it, behind the key of the job. */
export const lockSuffix = ':lock';

/** A lock holds the token of its fetch: the worker's id, this, and a number. */
export const tokenSeparator = ':';

/** The name of a deduplication key begins with it. The key's value is the id of the job that stands for it. */
export const deduplicationStart = 'de:';

export const jobFields = {
  name: 'name',
  payload: 'data',
  options: 'opts',
  progress: 'progress',
  timestamp: 'timestamp',
  delay: 'delay',
  priority: 'priority',
  /** How often the job was fetched. */
  starts: 'ats',
  /** How often the job was completed, failed or retried. */
  attempts: 'atm',
  stalls: 'stc',
  /** The worker that fetched the job last. */
  worker: 'pb',
  startedAt: 'processedOn',
  endedAt: 'finishedOn',
  failedReason: 'failedReason',
  /** Why the job is to fail when it is fetched. */
  deferredFailure: 'defa',
  stacktrace: 'stacktrace',
  returnValue: 'returnvalue',
  parent: 'parent',
  parentKey: 'parentKey',
  scheduler: 'rjk',
  deduplicationId: 'deid',
} as const;

export const metaFields = {
  /** Is there while the queue is paused. */
  paused: 'paused',
  /** So many jobs may start in so many milliseconds. */
  limitMax: 'max',
  limitDuration: 'duration',
  maxEvents: 'opts.maxLenEvents',
} as const;

/** How many events BullMQ keeps for a queue whose `meta` sets no limit. */
export const defaultMaxEvents = 10_000;

/** The limiter's value while a queue is to give no job, whatever its maximum. */
export const neverReached = String(Number.MAX_SAFE_INTEGER);

/** The member of `marker` that says that there is a job. */
export const baseMark = { score: 0, member: '0' } as const;

/** The score of a job with a priority is its priority times this, plus its number. */
export const priorityStep = 0x1_0000_0000;

/** The score of a delayed job is the time at which it is due, in milliseconds since 1970, times this, plus its turn. */
export const delayedStep = 0x1000;

/** Events of the job `id`, as arguments of XADD in Lua. */
export const eventArgs = {
  waiting: (from: 'active' | 'failed') => `'event', 'waiting', 'jobId', id, 'prev', '${from}'`,
  stalled: "'event', 'stalled', 'jobId', id",
  failed: (reason: string) => `'event', 'failed', 'jobId', id, 'failedReason', ${reason}`,
} as const;
