import { takenNames } from '../broker/bullmq-names.ts';
import { IsletError } from '../errors.ts';
import { checkOptions, checks, expecting } from '../manifest/check-options.ts';
import type { Refused } from '../manifest/checked.ts';
import type { AnyTask } from '../manifest/define-task.ts';

/** Makes jobs of one task with one key one job, for a while. */
export type Dedupe =
  /** The key lasts until the job has ended, also by failing or being cancelled. */
  | { key: string; mode: 'simple'; ttlMs?: never }
  /** The key lasts `ttlMs` milliseconds from the first job, whatever became of it. */
  | { key: string; mode: 'throttle'; ttlMs: number }
  /**
   * The key lasts `ttlMs` milliseconds from the last job, and each newer job replaces an older one that is still delayed.
   * Needs `delayMs`, and a `ttlMs` that is not below it. Equal ones are usual: a job that comes after the first has
   * started, and before `ttlMs` has run out, is not run.
   */
  | { key: string; mode: 'debounce'; ttlMs: number };

export interface EnqueueOptions {
  /** Milliseconds before the job may start. Default: 0. */
  delayMs?: number;
  /** From 1 (first) to 2_097_151; only for tasks whose manifest has a `priority`. Default: the manifest's. */
  priority?: number;
  /**
   * An id of your own, unique in the queue: 1 to 200 characters without ':' and white space, not an integer. A second
   * job of that id is not made: the handle then says `accepted: false`. Default: a new UUIDv7.
   */
  id?: string;
  /**
   * How many milliseconds the id stands for this job, also after it is done and removed. Default: 86_400_000 (1 day) with
   * `id`, else 300_000 (5 minutes), so that an uncertain enqueue may be repeated.
   */
  idempotencyMs?: number;
  /**
   * Makes no second job of a key while the first one counts; the handle names the job that stands for it. `key` is 1 to
   * 200 characters without white space. Not together with `id` and `idempotencyMs`. Default: none.
   */
  dedupe?: Dedupe;
  /** Milliseconds that the result is kept after the end, for `handle.result()`. Default: the manifest's. */
  keepResultMs?: number;
}

/** The options for a job of a task whose manifest has no `priority`. */
export interface EnqueueOptionsWithoutPriority extends Omit<EnqueueOptions, 'priority'> {
  /** Must not be given: jobs with a priority would starve those without one. */
  priority?: Refused<"the task's manifest has no priority">;
}

/** Ids that would be other keys of the queue: a job's key stands beside BullMQ's own, and beside its result. */
const reservedIds = new Set([...takenNames, 'result']);

/** Says whether a job can have this id at all; plain BullMQ producers may give integers. */
export function isJobId(value: unknown): boolean {
  return typeof value === 'string' && /^[^:\s\p{Cs}]{1,200}$/u.test(value) && !reservedIds.has(value);
}

const modes = ['simple', 'throttle', 'debounce'];
const dedupeChecks = {
  key: expecting(
    'a string of 1 to 200 characters without white space',
    (value) => typeof value === 'string' && /^[^\s\p{Cs}]{1,200}$/u.test(value),
  ),
  mode: checks.oneOf(...modes),
  ttlMs: checks.redisMs(1),
};

const optionChecks = {
  delayMs: checks.redisMs(0),
  priority: checks.integer(1, 2_097_151),
  id: expecting(
    "a string of 1 to 200 characters without ':' and white space that is neither an integer nor a key of BullMQ's own",
    (value) => isJobId(value) && !/^-?\d+$/.test(String(value)),
  ),
  idempotencyMs: checks.redisMs(1),
  dedupe: expecting('an object { key, mode, ttlMs }', (value) => typeof value === 'object' && value !== null),
  keepResultMs: checks.redisMs(1),
};

/** Throws `E_ENQUEUE_OPTIONS_INVALID` for an option that is unknown, wrong, or does not fit the others. */
export function checkEnqueueOptions(manifest: AnyTask, options: EnqueueOptions): void {
  if (typeof options === 'object' && options && Object.keys(options).length === 0) return;
  const problem = findShapeProblem(options) ?? findPriorityProblem(manifest, options) ?? findDedupeProblem(options);
  if (problem === undefined) return;
  const message = `${problem} Nothing was enqueued for task "${manifest.name}".`;
  throw new IsletError('E_ENQUEUE_OPTIONS_INVALID', message);
}

function findShapeProblem(options: EnqueueOptions): string | undefined {
  try {
    checkOptions('An option of enqueue', options, [], optionChecks);
    if (options.dedupe) checkOptions('An option of dedupe', options.dedupe, [], dedupeChecks);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function findPriorityProblem(manifest: AnyTask, { priority }: EnqueueOptions): string | undefined {
  if (priority === undefined || manifest.priority !== undefined) return undefined;
  const seen = `Task "${manifest.name}" has no priority, got priority ${priority}: its jobs would be starved by those without one.`;
  return `${seen} Give every task of queue "${manifest.queue}" a \`priority\`, or drop it here.`;
}

function findDedupeProblem({ dedupe, delayMs = 0, id, idempotencyMs }: EnqueueOptions): string | undefined {
  if (dedupe === undefined) return undefined;
  const { key, mode, ttlMs } = dedupe;
  if (key === undefined) return '`dedupe.key` is missing: jobs with the same key are one job.';
  if (mode === undefined) return `\`dedupe.mode\` is missing: one of ${modes.map((name) => `"${name}"`).join(', ')}.`;
  if (id !== undefined || idempotencyMs !== undefined) {
    const other = id === undefined ? 'idempotencyMs' : 'id';
    return `\`dedupe\` and \`${other}\` exclude each other: both say which job is the same. Drop one.`;
  }
  if (mode === 'simple') {
    const advice = 'the key lasts until the job has ended. Drop it, or use mode "throttle".';
    return ttlMs === undefined ? undefined : `Dedupe mode "simple" takes no \`dedupe.ttlMs\`, got ${ttlMs}: ${advice}`;
  }
  if (ttlMs === undefined)
    return `Dedupe mode "${mode}" needs \`dedupe.ttlMs\`: how long the key lasts, in milliseconds.`;
  if (mode === 'throttle') return undefined;
  if (delayMs === 0) return 'Dedupe mode "debounce" needs `delayMs`: only a job that is still delayed can be replaced.';
  if (ttlMs >= delayMs) return undefined;
  return `\`dedupe.ttlMs\` ${ttlMs} is below \`delayMs\` ${delayMs}: a second job would be made while the first is still delayed.`;
}
