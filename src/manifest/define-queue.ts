import { checkOptions, checks, nameOwner } from './check-options.ts';
import { mappedDefaults, queueDefaults } from './defaults.ts';

export interface QueueOptions {
  /** Unique in the app and equal to its folder's name: lower-case words with hyphens, at most 100 characters. */
  name: string;
  /**
   * How many jobs one worker process runs at the same time, while further jobs wait in Redis, untouched. No more than the
   * pools have room for, where all tasks run in pools of threads or processes. 1 to 10_000; `--concurrency` overrides it
   * for one process. Default: 100.
   */
  concurrency?: number;
  /**
   * The BullMQ queue that this queue is in Redis, where it exists already, and its jobs and plain producers stay. All
   * producers and workers must have the same: give tasks this manifest as their `queue`, not its name. Default: none, the
   * queue is Islet's own, called `{<name>}` under the prefix of the settings.
   */
  bullmq?: BullmqOptions;
  /**
   * How long, in milliseconds, a worker's claim on a job lasts without renewal; it is renewed every quarter of that. A job
   * whose worker died runs again after the lock has run out. 5_000 or more. Default: 30_000 (30 seconds).
   */
  lockDurationMs?: number;
  /**
   * How often, in milliseconds, a queue's workers look for jobs whose lock ran out. Jobs of a host that died run again
   * within `lockDurationMs` and this. 1_000 or more. Default: 15_000 (15 seconds).
   */
  stalledCheckMs?: number;
  /**
   * How long jobs that have ended are kept. Default: failed ones for 7 days and at most 1_000, completed ones not. Where the
   * queue has a `bullmq`: all of them for ever, as a plain worker keeps them.
   */
  retention?: Partial<Retention>;
  /** What this queue's worker may load and take at most, before its first job. `islet check` fails past it. Default: none. */
  budget?: Budget;
}

/** The name and prefix by which BullMQ knows a queue. */
export interface BullmqOptions {
  /** What `new Queue(name)` is given: 1 to 200 characters without ':', any case, with or without braces. Default: the queue's name. */
  readonly name?: string;
  /** What `new Queue(name, { prefix })` is given: 1 to 200 characters. Default: "bull". */
  readonly prefix?: string;
}

/** What a queue's worker may load and take. `islet check` measures it, and `islet footprint` shows it; no worker does. */
export interface Budget {
  /**
   * Megabytes (of 1_048_576 bytes) of resident memory with everything imported and no job taken: Islet, the settings,
   * all manifests, and this queue's hooks, dependencies and tasks. It differs between Node versions, and by a few per
   * cent between runs: leave a tenth of room. `islet check` fails above it. 1 or more. Default: none (not checked).
   */
  readonly maxRssMb?: number;
  /**
   * Names of the packages that this queue's code, the settings and the manifests may import, such as `sharp`, or
   * `@aws-sdk/*` for all of a scope. What such a package imports itself comes with it; Islet's own need not be named.
   * `islet check` fails on any other one, with the chain of imports that leads to it. `[]` allows none.
   * Default: none (any package).
   */
  readonly packages?: readonly string[];
}

/** How long jobs that have ended stay in Redis. The defaults are those of a queue without a `bullmq`. */
export interface Retention {
  /** Milliseconds that failed jobs are kept for a look and a retry. 1_000 or more. Default: 604_800_000 (7 days). */
  readonly failedForMs: number;
  /** How many failed jobs are kept at most, the newest. 0 or more. Default: 1_000. */
  readonly failedCount: number;
  /** Milliseconds that completed jobs are kept, if any are. 1_000 or more. Default: 86_400_000 (1 day). */
  readonly completedForMs: number;
  /** How many completed jobs are kept at most, the newest. Each costs Redis nearly twice the time. Default: 0 (none). */
  readonly completedCount: number;
}

export interface QueueManifest extends Readonly<Required<Omit<QueueOptions, 'bullmq' | 'retention' | 'budget'>>> {
  readonly kind: 'queue';
  /** Undefined where the queue is not an existing one of BullMQ's. */
  readonly bullmq: Readonly<Required<BullmqOptions>> | undefined;
  readonly retention: Retention;
  readonly budget?: Budget;
}

/** Returns the name of a queue that is given by its name or its manifest. */
export function nameOfQueue(queue: string | { readonly name: string }): string {
  return typeof queue === 'string' ? queue : queue.name;
}

/** Declares a queue. Throws `E_MANIFEST_INVALID` for an option that is missing, unknown or wrong. */
export function defineQueue(options: QueueOptions): QueueManifest {
  const owner = nameOwner('Queue', options);
  const given = checkOptions(owner, options, ['name'], {
    name: checks.name,
    concurrency: checks.integer(1, 10_000),
    lockDurationMs: checks.timerMs(5_000),
    stalledCheckMs: checks.timerMs(1_000),
    bullmq: checks.object,
    retention: checks.object,
    budget: checks.object,
  });
  const retention = checkOptions(`${owner}, retention`, given.retention ?? {}, [], {
    failedForMs: checks.integer(1_000),
    failedCount: checks.integer(0),
    completedForMs: checks.integer(1_000),
    completedCount: checks.integer(0),
  });
  const bullmq =
    given.bullmq &&
    checkOptions(`${owner}, bullmq`, given.bullmq, [], { name: checks.bullmqName, prefix: checks.bullmqPrefix });
  checkOptions(`${owner}, budget`, given.budget ?? {}, [], {
    maxRssMb: checks.integer(1),
    packages: checks.packages,
  });
  return Object.freeze({
    ...queueDefaults,
    ...given,
    kind: 'queue' as const,
    bullmq: bullmq && Object.freeze({ name: given.name, prefix: mappedDefaults.prefix, ...bullmq }),
    retention: { ...(bullmq ? mappedDefaults : queueDefaults).retention, ...retention },
  });
}
