import { type AwilixContainer, createContainer, Lifetime } from 'awilix';
import type { ModuleSource, QueueSource, TaskSource } from '../app/app-source.ts';
import { findTaskProblem } from '../app/check-export.ts';
import { IsletError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { messageOf } from '../thrown.ts';
import type { Scope } from './job-context.ts';
import type { PoolHost } from './pools/unit-handle.ts';
import type { UnitPool } from './pools/unit-pool.ts';
import type { QueueHost, Registrations, Task } from './task-context.ts';

/** A queue's code in this process. */
export interface LoadedQueue {
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
  /** Imports the task's code into this thread, once. Throws `E_TASK_LOAD_FAILED`. */
  load(): Promise<Task>;
  /** The task's code, once a job has run here. */
  loaded?: Task | undefined;
}

/** How many pools are tried at once: each takes the memory of a thread or process meanwhile. */
const provenAtOnce = 4;

/**
 * Imports a queue's dependencies and tasks, but for tasks with `load: 'on-first-job'`. Those that run in threads or
 * processes are only tried, in one that is thrown away; without `poolHost` they are loaded here as the others. Throws
 * `E_DEPENDENCIES_FAILED` or `E_TASK_LOAD_FAILED`.
 */
export async function loadQueue(
  queue: string,
  source: QueueSource,
  host: QueueHost,
  poolHost?: PoolHost,
): Promise<LoadedQueue> {
  const all = await Promise.all(source.tasks.map((task) => toLoadable(task, poolHost)));
  const pools = all.flatMap(({ pool }) => pool ?? []);
  const atOnce = all.filter(({ manifest }) => manifest.load === 'on-start');
  for (const { pool, load } of atOnce) if (!pool) await load();
  await proveAll(atOnce.flatMap(({ pool }) => pool ?? []));
  // Where nothing runs in this thread, nothing is opened for it either.
  const isElsewhere = pools.length > 0 && pools.length === all.length;
  const container = await openDependencies(queue, isElsewhere ? undefined : source.dependencies, host);
  const named = all.flatMap((task) =>
    [task.manifest.name, ...task.manifest.formerNames].map((name) => [name, task] as const),
  );
  return {
    openScope: () => container.createScope(),
    tasks: new Map(named),
    room: isElsewhere ? pools.reduce((sum, { size }) => sum + size, 0) : undefined,
    async close() {
      await Promise.all(pools.map((pool) => pool.close()));
      await container.dispose();
    },
  };
}

/** Tries all pools, so that none is left behind, and throws the first one's error. */
async function proveAll(pools: readonly UnitPool[]): Promise<void> {
  for (let at = 0; at < pools.length; at += provenAtOnce) {
    const proofs = pools.slice(at, at + provenAtOnce).map((pool) => pool.prove());
    const failed = (await Promise.allSettled(proofs)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }
}

/** Opens every singleton at once. Throws `E_DEPENDENCIES_FAILED`, and then disposes of what was opened. */
async function openDependencies(
  queue: string,
  source: ModuleSource | undefined,
  host: QueueHost,
): Promise<AwilixContainer> {
  const container = createContainer({ strict: true });
  if (!source) return container;
  try {
    const create = await source.load();
    if (typeof create !== 'function') throw new Error('it must export a function by default');
    const registrations: unknown = await create(host);
    if (typeof registrations !== 'object' || registrations === null) {
      const wanted = 'an object of awilix resolvers, such as { http: asValue(client) }';
      throw new IsletError('E_DEPENDENCIES_FAILED', `queues/${queue}/dependencies.ts must return ${wanted}.`);
    }
    container.register(registrations as Registrations);
    for (const [name, resolver] of Object.entries(container.registrations)) {
      if (resolver.lifetime === Lifetime.SINGLETON) await container.resolve(name);
    }
    return container;
  } catch (cause) {
    await container.dispose().catch(() => {});
    if (cause instanceof IsletError) throw cause;
    const where = `The dependencies of queue "${queue}" (${source.file})`;
    throw new IsletError('E_DEPENDENCIES_FAILED', `${where} could not be opened: ${messageOf(cause)}`, { cause });
  }
}

async function toLoadable(source: TaskSource, poolHost: PoolHost | undefined): Promise<LoadableTask> {
  const { manifest } = source;
  const isPooled = poolHost && manifest.pool.kind !== 'async';
  // The code of pools takes memory where no task needs it.
  const pool = isPooled ? new (await import('./pools/unit-pool.ts')).UnitPool(source, poolHost) : undefined;
  let loading: Promise<Task> | undefined;
  const load = () => {
    loading ??= importTask(source).catch((error) => {
      // The next job tries again: a full disk or a deploy may have been in the way.
      loading = undefined;
      throw error;
    });
    return loading;
  };
  return { manifest, pool, load, loaded: undefined };
}

async function importTask(source: TaskSource): Promise<Task> {
  const { name, queue } = source.manifest;
  const fail = (what: string, cause?: unknown) => {
    const where = `Task "${name}" (queue "${queue}"), ${source.file}`;
    return new IsletError('E_TASK_LOAD_FAILED', `${where}: ${what}`, { cause });
  };
  const task = await source.load().catch((cause) => {
    throw fail(`it could not be imported: ${messageOf(cause)}`, cause);
  });
  const problem = findTaskProblem(task, name);
  if (problem !== undefined) throw fail(problem);
  return task as Task;
}
