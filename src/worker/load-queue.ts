import type { QueueSource, TaskSource } from '../app/app-source.ts';
import { findExportProblem } from '../app/check-export.ts';
import { IsletError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { Scope } from './job-context.ts';
import { openDependencies } from './open-dependencies.ts';
import type { UnitPool } from './pools/unit-pool.ts';
import type { QueueHost, Task } from './task-context.ts';

/** A queue's code in this process. */
export interface LoadedQueue {
  /** Opens the dependencies of one job. */
  openScope(): Scope;
  /** The tasks by name and by former name. */
  readonly tasks: ReadonlyMap<string, LoadableTask>;
  /** How many jobs can run here at once, where all tasks run in pools of threads or processes. */
  readonly room?: number | undefined;
  close(): Promise<void>;
}

export interface LoadableTask {
  readonly manifest: AnyTask;
  /** Where the task's code runs, if that is not this thread. */
  readonly pool?: UnitPool | undefined;
  /** Imports the task's code into this thread. Throws `E_TASK_LOAD_FAILED`. */
  load(): Promise<Task>;
  /** The task's code, once it is loaded here. */
  readonly loaded?: Task | undefined;
}

/** Opens the pool of a task that runs in threads or processes. */
export type OpenPool = (source: TaskSource) => UnitPool;

/** How many pools are tried at once: each takes the memory of a thread or process meanwhile. */
const provenAtOnce = 4;

/**
 * Imports a queue's dependencies and tasks, before its first job. Tasks with `load: 'on-first-job'` are left for later.
 * Those that run in threads or processes are only tried, in one that is thrown away; without `openPool` they are loaded
 * here as the others. Throws `E_DEPENDENCIES_FAILED` or `E_TASK_LOAD_FAILED`.
 */
export async function loadQueue(
  queue: string,
  source: QueueSource,
  host: QueueHost,
  openPool?: OpenPool,
): Promise<LoadedQueue> {
  const tasks = new Map<string, LoadableTask>();
  const pools: UnitPool[] = [];
  const toProve: UnitPool[] = [];
  for (const taskSource of source.tasks) {
    const { name, formerNames, load } = taskSource.manifest;
    const pool = openPool && isPooled(taskSource) ? openPool(taskSource) : undefined;
    const task = new TaskCode(taskSource, pool);
    if (pool) pools.push(pool);
    if (load === 'on-start' && !pool) await task.load();
    if (load === 'on-start' && pool) toProve.push(pool);
    for (const each of [name, ...formerNames]) tasks.set(each, task);
  }
  await proveAll(toProve);
  // Where nothing runs in this thread, nothing is opened for it either.
  const isElsewhere = pools.length > 0 && pools.length === source.tasks.length;
  const container = await openDependencies(queue, isElsewhere ? undefined : source.dependencies, host);
  const close = async () => {
    await Promise.all(pools.map((pool) => pool.close()));
    await container.dispose();
  };
  let closing: Promise<void> | undefined;
  return {
    openScope: () => container.createScope(),
    tasks,
    room: isElsewhere ? pools.reduce((sum, { size }) => sum + size, 0) : undefined,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** Says whether a task's code runs in a pool of threads or processes, and not in the worker's own thread. */
export const isPooled = ({ manifest }: Pick<TaskSource, 'manifest'>) => manifest.pool.kind !== 'async';

/** Tries all pools, so that none is left behind, and throws the first one's error. */
async function proveAll(pools: readonly UnitPool[]): Promise<void> {
  for (let at = 0; at < pools.length; at += provenAtOnce) {
    const proofs = pools.slice(at, at + provenAtOnce).map((pool) => pool.prove());
    const failed = (await Promise.allSettled(proofs)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }
}

class TaskCode implements LoadableTask {
  readonly manifest: AnyTask;
  readonly pool: UnitPool | undefined;
  loaded: Task | undefined;
  readonly #source: TaskSource;
  #loading: Promise<Task> | undefined;

  constructor(source: TaskSource, pool: UnitPool | undefined) {
    this.manifest = source.manifest;
    this.pool = pool;
    this.#source = source;
  }

  load(): Promise<Task> {
    this.#loading ??= this.#import();
    return this.#loading;
  }

  async #import(): Promise<Task> {
    try {
      const task = await this.#source.load().catch((cause) => {
        const said = cause instanceof Error ? cause.message : String(cause);
        throw this.#failed(`it could not be imported: ${said}`, cause);
      });
      const problem = findExportProblem('task', task, this.manifest.name);
      if (problem !== undefined) throw this.#failed(problem);
      this.loaded = task as Task;
      return this.loaded;
    } catch (error) {
      // The next job tries again: a full disk or a deploy may have been in the way.
      this.#loading = undefined;
      throw error;
    }
  }

  #failed(what: string, cause?: unknown): IsletError {
    const { name, queue } = this.manifest;
    const where = `Task "${name}" (queue "${queue}"), ${this.#source.file}`;
    return new IsletError('E_TASK_LOAD_FAILED', `${where}: ${what}`, { cause });
  }
}
