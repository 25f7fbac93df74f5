import { type Checks, checkOptions, checks, describe, invalid } from './check-options.ts';
import { poolDefaults, taskDefaults } from './defaults.ts';
import { didYouMean } from './did-you-mean.ts';

/** Where a task's code runs: in the worker's own thread, in other threads of its process, or in processes of their own. */
export type PoolKind = 'async' | 'thread' | 'process';

export const poolKinds: readonly PoolKind[] = ['async', 'thread', 'process'];

/** A pool of units. Each is a thread or a process, and runs one job at a time. */
export interface PoolOptions {
  kind: 'thread' | 'process';
  /**
   * How many units there are at most, so how many jobs of this task one worker process runs at once. As many again wait
   * there with their locks kept; further ones go back to Redis for a while, at no attempt. 1 to 128. Default: the number
   * of cores but one, at least 1.
   */
  size?: number;
  /** After so many jobs a unit is replaced by a fresh one. 1 or more. Default: 1_000. */
  maxJobs?: number;
  /**
   * The most JavaScript heap of a unit, in megabytes (of 1_048_576 bytes): a job that needs more is ended, and only that
   * job. A unit that still takes over three quarters of it after a job and a garbage collection (a thread: heap and
   * buffers; a process: resident memory) is replaced. 64 to 65_536; an idle unit has to stay below three quarters, or the
   * worker does not start. Default: 512.
   */
  maxMemoryMb?: number;
  /** Milliseconds that a unit waits for a job before it is ended. 0 ends it after each. Default: 30_000 (30 seconds). */
  idleTimeoutMs?: number;
}

/** A task's pool as its manifest holds it. */
export type TaskPool = { readonly kind: 'async' } | PoolSettings;

/** The settings of a pool of threads or processes; a `size` that is undefined is the number of cores but one. */
export interface PoolSettings extends Readonly<Required<Omit<PoolOptions, 'size'>>> {
  readonly size: number | undefined;
}

const poolChecks: Checks = {
  kind: checks.oneOf('thread', 'process'),
  size: checks.integer(1, 128),
  maxJobs: checks.integer(1),
  maxMemoryMb: checks.integer(64, 65_536),
  idleTimeoutMs: checks.timerMs(0),
};

/** Reads a manifest's `pool`. Throws `E_MANIFEST_INVALID`. */
export function parsePool(owner: string, pool: unknown = taskDefaults.pool): TaskPool {
  if (pool === 'async') return Object.freeze({ kind: pool });
  if (pool === 'thread' || pool === 'process') return parsePool(owner, { kind: pool });
  if (checks.object(pool) !== undefined) {
    const expected = 'expected "async", "thread", "process", or an object such as { kind: "thread", size: 2 }';
    const guess = typeof pool === 'string' ? didYouMean(pool, poolKinds) : '';
    throw invalid(owner, `\`pool\`: ${expected}, got ${describe(pool)}.${guess}`);
  }
  const given = checkOptions(`${owner}, pool`, pool as PoolOptions, ['kind'], poolChecks);
  return Object.freeze({ size: undefined, ...poolDefaults, ...given }) as PoolSettings;
}
