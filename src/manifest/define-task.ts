import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type Checks, checkOptions, checks, invalid, nameOwner } from './check-options.ts';
import type { Checked, Refused } from './checked.ts';
import { taskDefaults } from './defaults.ts';
import type { QueueManifest } from './define-queue.ts';
import { type PoolKind, type PoolOptions, parsePool, type TaskPool } from './pool.ts';

export interface Backoff {
  /** `fixed`: always waits `delayMs`. `exponential`: doubles it after each attempt. Default: "exponential". */
  type?: 'fixed' | 'exponential';
  /** Milliseconds before the second attempt. 0 or more. Default: 1_000. */
  delayMs?: number;
  /** No wait is longer than this, in milliseconds. Default: 3_600_000 (1 hour). */
  maxDelayMs?: number;
  /** How much of a wait is random, from 0 to 1: at 0.5 it lies between half and the whole. Default: 0.5. */
  jitter?: number;
}

/** What Islet promises of a job whose worker dies: it runs again, or it never does. */
export type DeliveryGuarantee = 'at-least-once' | 'at-most-once';

type Schema = StandardSchemaV1;

/** What the manifest of a task may say. */
export interface TaskOptions {
  /** Unique in the app and equal to its folder's name: lower-case words with hyphens, at most 100 characters. */
  name: string;
  /**
   * The queue whose workers run this task: its name, or what its `queues/<queue>/manifest.ts` exports, which must be given
   * where the queue has a `bullmq`, so that producers know from this manifest alone where the jobs go.
   */
  queue: string | QueueManifest;
  /** Any Standard Schema. Its input is what is enqueued, as JSON; its output is what the task sees. */
  payload: Schema;
  /** Any Standard Schema of what the task returns, checked by the worker. Default: any JSON value, not checked. */
  result?: Schema;
  /** Raise it when an older worker must not run newer payloads. An integer from 1. Default: 1. */
  version?: number;
  /**
   * "at-least-once": a job whose worker dies runs again, so it may run twice. "at-most-once": its code starts once or
   * never; a job that was interrupted fails with `E_JOB_INTERRUPTED`, and nothing but a person runs it again. Each job
   * then costs one more command, has one attempt, and no `snooze` or `rateLimited`. Default: "at-least-once".
   */
  delivery?: DeliveryGuarantee;
  /** How often a job is tried in all before it fails for good. 1 to 1_000; at-most-once: only 1. Default: 3. */
  attempts?: number;
  /** The wait between two attempts. Default: exponential from 1_000 ms, capped at 1 hour, half of it random. */
  backoff?: Backoff;
  /**
   * Whose attempts and backoff a job of a plain BullMQ producer has. "from-manifest": those above, as all jobs have that
   * Islet's producer sends. "from-job": those in the job's own options, as BullMQ takes them, so one attempt where they
   * say nothing; a job that asks for a strategy of the application's own fails with `E_JOB_OPTIONS_UNSUPPORTED` before
   * its code runs. At-most-once: only "from-manifest". Default: "from-manifest".
   */
  retries?: 'from-manifest' | 'from-job';
  /**
   * Milliseconds that one attempt may take. Then `signal` aborts with a `TimeoutError` and the attempt has failed. 1 or
   * more. Default: 60_000 (1 minute).
   */
  timeoutMs?: number;
  /**
   * Milliseconds that code has, after its signal aborted, before the outcome is settled without it. A retry may then
   * overlap with code that ignores its signal; code in a pool of threads or processes is ended then, and a quarter of a
   * second after the abort if it does not let its event loop turn. Default: 5_000.
   */
  abandonAfterMs?: number;
  /** The largest payload, in bytes of JSON. Larger ones are refused at enqueue. Default: 262_144 (256 KB). */
  maxPayloadBytes?: number;
  /** The largest result, in bytes of JSON. A larger one fails the job. Default: 262_144 (256 KB). */
  maxResultBytes?: number;
  /**
   * When the worker imports the task: before any job, so that a broken import stops the deploy, or at the first job of
   * this task, for rare tasks with heavy libraries. Default: "on-start".
   */
  load?: 'on-start' | 'on-first-job';
  /**
   * Where the task's code runs. "async": in the worker's own thread, beside other jobs, for code that mostly waits.
   * "thread": in a pool of threads, for code that computes: it keeps no other job waiting, is really stopped by a
   * time-out or a cancel, and ends only its thread when it runs out of memory or exits. "process": in a pool of
   * processes, also for native code that may crash. An object sets up the pool: `{ kind: 'thread', size: 2 }`.
   * Default: "async".
   */
  pool?: PoolKind | PoolOptions;
  /**
   * Paths of payload fields whose values never appear in errors, failed reasons, Islet's log lines and the task's own:
   * "email", "user.email", "items.*.card", where `*` is any field or item, or "*" for the whole payload. All that lies
   * below such a field is meant, too. A value is looked for as it was enqueued, also inside JSON and URLs, not in other
   * encodings; one of less than three characters is only withheld where its field is logged. Default: none.
   */
  redact?: readonly string[];
  /**
   * Names that the jobs of this task had before, while such jobs may be in Redis or a plain BullMQ producer enqueues them:
   * any texts of at most 500 characters, such as "sendEmail" or "__default__", each of one task in its queue. Default: none.
   */
  formerNames?: readonly string[];
  /** Milliseconds that Redis keeps the result after the end, so that `handle.result()` exists. Default: not kept. */
  keepResultMs?: number;
  /**
   * Whether the result is written as BullMQ's `returnvalue`, so that `job.waitUntilFinished()`, QueueEvents and bull-board
   * show it. It is in the event that the job has completed, of which Redis holds the last 100 of a queue (10_000, or as many
   * as its owner has set, where the queue has a `bullmq`), and in the job for as long as the queue's `retention` keeps that.
   * Default: false (true where the queue has a `bullmq`).
   */
  keepReturnValue?: boolean;
  /**
   * The priority of this task's jobs, 1 (first) to 2_097_151. All tasks of a queue have one, or none has: jobs without a
   * priority would starve the others. Default: none, first in first out.
   */
  priority?: number;
}

/** What the manifest of an at-most-once task may say. */
export interface AtMostOnceOptions extends Omit<TaskOptions, 'attempts' | 'retries'> {
  delivery: 'at-most-once';
  attempts?: 1 | Refused<'an at-most-once task has one attempt'>;
  retries?: 'from-manifest' | Refused<'an at-most-once task has one attempt, whatever its jobs ask for'>;
}

type AllowedFor<Given> = Given extends { delivery: 'at-most-once' } ? AtMostOnceOptions : TaskOptions;

export interface TaskManifest<
  Payload extends Schema = Schema,
  Result extends Schema | undefined = Schema | undefined,
  Keep extends number | undefined = number | undefined,
  Priority extends number | undefined = number | undefined,
  Guarantee extends DeliveryGuarantee = DeliveryGuarantee,
> extends Readonly<Required<Omit<TaskOptions, Refined>>> {
  readonly kind: 'task';
  /** The queue's name. */
  readonly queue: string;
  /** The queue of BullMQ that the task's queue is, where it is an existing one. */
  readonly bullmq: QueueManifest['bullmq'];
  readonly payload: Payload;
  readonly result: Result;
  readonly delivery: Guarantee;
  readonly backoff: Required<Backoff>;
  readonly pool: TaskPool;
  readonly keepResultMs: Keep;
  readonly priority: Priority;
}

/** The options that a manifest holds in a form of its own. */
type Refined = 'queue' | 'payload' | 'result' | 'delivery' | 'backoff' | 'pool' | 'keepResultMs' | 'priority';

type OptionOf<Given, Name extends keyof TaskOptions> = Name extends keyof Given ? Given[Name] : undefined;

export type AnyTask = TaskManifest;
export type PayloadInput<M extends AnyTask> = StandardSchemaV1.InferInput<M['payload']>;
export type PayloadOutput<M extends AnyTask> = StandardSchemaV1.InferOutput<M['payload']>;
export type ResultInput<M extends AnyTask> = M['result'] extends Schema
  ? StandardSchemaV1.InferInput<M['result']>
  : unknown;
export type ResultOutput<M extends AnyTask> = M['result'] extends Schema
  ? StandardSchemaV1.InferOutput<M['result']>
  : unknown;

const taskChecks: Checks = {
  name: checks.name,
  queue: checks.queue,
  payload: checks.schema,
  result: checks.schema,
  version: checks.integer(1),
  delivery: checks.oneOf('at-least-once', 'at-most-once'),
  attempts: checks.integer(1, 1_000),
  backoff: checks.object,
  retries: checks.oneOf('from-manifest', 'from-job'),
  timeoutMs: checks.timerMs(1),
  abandonAfterMs: checks.timerMs(0),
  maxPayloadBytes: checks.integer(1, 67_108_864),
  maxResultBytes: checks.integer(1, 67_108_864),
  load: checks.oneOf('on-start', 'on-first-job'),
  pool: () => undefined,
  redact: checks.paths,
  formerNames: checks.jobNames,
  keepResultMs: checks.redisMs(1),
  keepReturnValue: checks.flag,
  priority: checks.integer(1, 2_097_151),
};

const backoffChecks: Checks = {
  type: checks.oneOf('fixed', 'exponential'),
  delayMs: checks.redisMs(0),
  maxDelayMs: checks.redisMs(0),
  jitter: checks.fraction,
};

/** Declares a task. Throws `E_MANIFEST_INVALID` for an option that is missing, unknown or wrong. */
export function defineTask<const Given extends TaskOptions>(
  options: Checked<Given, AllowedFor<Given>>,
): TaskManifest<
  Given['payload'],
  OptionOf<Given, 'result'>,
  OptionOf<Given, 'keepResultMs'>,
  OptionOf<Given, 'priority'>,
  OptionOf<Given, 'delivery'> extends undefined ? 'at-least-once' : NonNullable<OptionOf<Given, 'delivery'>>
> {
  const owner = nameOwner('Task', options as TaskOptions);
  const given = checkOptions(owner, options as TaskOptions, ['name', 'queue', 'payload'], taskChecks);
  const isOnce = given.delivery === 'at-most-once';
  const { attempts = isOnce ? 1 : taskDefaults.attempts } = given;
  if (isOnce && attempts > 1) {
    const seen = `\`attempts\` is ${attempts}, and \`delivery\` is "at-most-once"`;
    throw invalid(owner, `${seen}. A second attempt would be a second start. Remove \`attempts\`, or \`delivery\`.`);
  }
  if (isOnce && given.retries === 'from-job') {
    const seen = '`retries` is "from-job", and `delivery` is "at-most-once"';
    throw invalid(
      owner,
      `${seen}. A second attempt of a job would be a second start. Remove \`retries\`, or \`delivery\`.`,
    );
  }
  const ofBackoff = `${owner}, backoff`;
  const backoff = { ...taskDefaults.backoff, ...checkOptions(ofBackoff, given.backoff ?? {}, [], backoffChecks) };
  const { delayMs, maxDelayMs } = backoff;
  if (maxDelayMs < delayMs) throw invalid(ofBackoff, `maxDelayMs ${maxDelayMs} is below delayMs ${delayMs}.`);
  const pool = parsePool(owner, given.pool);
  const queue = typeof given.queue === 'string' ? { name: given.queue, bullmq: undefined } : given.queue;
  const place = { queue: queue.name, bullmq: queue.bullmq };
  // Readers of a queue that was there before Islet expect the results where they were.
  const derived = { keepReturnValue: queue.bullmq !== undefined, redact: [], formerNames: [] };
  const whole = { ...taskDefaults, ...derived, ...given, ...place, attempts, backoff, pool };
  return Object.freeze({ ...whole, kind: 'task' }) as never;
}
