import { type AwilixContainer, createContainer, Lifetime } from 'awilix';
import type { QueueSource, TaskSource } from '../app/app-source.ts';
import { findExportProblem } from '../app/check-export.ts';
import { IsletError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { Scope } from './create-context.ts';
import type { Pool } from './pool.ts';
import type { QueueHost, Registrations, Task } from './task-context.ts';

/** A queue's code in this process. */
export interface LoadedQueue {
  /** Opens the dependencies of one job. */
  openScope(): Scope;
  /** By name and by former name. */
  readonly tasks: ReadonlyMap<string, LoadableTask>;
  /** How many jobs can run here at once, where all tasks run in pools of threads or processes. */
  readonly room?: number | undefined;
  close(): Promise<void>;
}

export interface LoadableTask {
  readonly manifest: AnyTask;
  /** Where its code runs, if that is not this thread: then it is not loaded here. */
  readonly pool?: Pool | undefined;
  load(): Promise<Task>;
  /** The task's code, where it has been loaded here. */
  readonly loaded?: Task | undefined;
}

/** Opens the pool of a task that runs in threads or processes. */
export type OpenPool = (source: TaskSource) => Pool;

function loadFailed(source: TaskSource, what: string, cause?: unknown): IsletError {
  const { name, queue } = source.manifest;
  return new IsletError('E_TASK_LOAD_FAILED', `Task "${name}" (queue "${queue}"), ${source.file}: ${what}`, { cause });
}

async function importTask(source: TaskSource): Promise<Task> {
  let task: unknown;
  try {
    task = await source.load();
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw loadFailed(source, `it could not be imported: ${said}`, cause);
  }
  const problem = findExportProblem('task', task, source.manifest.name);
  if (problem !== undefined) throw loadFailed(source, problem);
  return task as Task;
}

function toLoadable(source: TaskSource): LoadableTask {
  let loading: Promise<Task> | undefined;
  const loadable: LoadableTask & { loaded?: Task } = {
    manifest: source.manifest,
    load() {
      loading ??= importTask(source).then(
        (task) => {
          loadable.loaded = task;
          return task;
        },
        (error) => {
          // The next job tries again: a full disk or a deploy may have been in the way.
          loading = undefined;
          throw error;
        },
      );
      return loading;
    },
  };
  return loadable;
}

function fillContainer(queue: string, registrations: unknown): AwilixContainer {
  const container = createContainer({ strict: true });
  if (typeof registrations !== 'object' || registrations === null) {
    const wanted = 'an object of awilix resolvers, such as { http: asValue(client) }';
    throw new IsletError('E_DEPENDENCIES_FAILED', `queues/${queue}/dependencies.ts must return ${wanted}.`);
  }
  return container.register(registrations as Registrations);
}

/** Makes every singleton now: what cannot be opened stops the start, and what was opened is disposed of at the end. */
async function openSingletons(container: AwilixContainer): Promise<void> {
  for (const [name, resolver] of Object.entries(container.registrations)) {
    if (resolver.lifetime === Lifetime.SINGLETON) await container.resolve(name);
  }
}

async function openDependencies(queue: string, source: QueueSource, host: QueueHost): Promise<AwilixContainer> {
  let container: AwilixContainer = createContainer({ strict: true });
  if (!source.dependencies) return container;
  try {
    const create = await source.dependencies.load();
    if (typeof create !== 'function') throw new Error('it must export a function by default');
    container = fillContainer(queue, await create(host));
    await openSingletons(container);
    return container;
  } catch (cause) {
    await container.dispose().catch(() => {});
    if (cause instanceof IsletError) throw cause;
    const said = cause instanceof Error ? cause.message : String(cause);
    const where = `The dependencies of queue "${queue}" (${source.dependencies.file})`;
    throw new IsletError('E_DEPENDENCIES_FAILED', `${where} could not be opened: ${said}`, { cause });
  }
}

/** Whether a task's code is not loaded in the worker's own thread. */
export const isPooled = ({ manifest }: Pick<TaskSource, 'manifest'>) => manifest.pool.kind !== 'async';

function toPooled(source: TaskSource, pool: Pool): LoadableTask {
  const load = async () => {
    throw loadFailed(source, `it runs in its pool, and is not loaded here.`);
  };
  return { manifest: source.manifest, pool, load };
}

/** Where nothing runs in this thread, nothing is opened for it either. */
function openOwn(queue: string, source: QueueSource, host: QueueHost, isElsewhere: boolean) {
  return isElsewhere ? createContainer({ strict: true }) : openDependencies(queue, source, host);
}

/** Each takes the memory of a thread or process while it is tried. */
const provenAtOnce = 4;

/** Waits for each, so that none is left behind, and throws the first one's error. */
async function proveAll(pools: readonly Pool[]): Promise<void> {
  for (let at = 0; at < pools.length; at += provenAtOnce) {
    const proofs = pools.slice(at, at + provenAtOnce).map((pool) => pool.prove());
    const failed = (await Promise.allSettled(proofs)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }
}

/**
 * Imports a queue's dependencies and tasks, before its first job. Tasks with `load: 'on-first-job'` are left for later.
 * Those that run in threads or processes are only tried, in one that is thrown away, and not loaded here; without
 * `openPool` they are loaded as the others. Throws `E_DEPENDENCIES_FAILED` or `E_TASK_LOAD_FAILED`.
 */
export async function loadQueue(
  queue: string,
  source: QueueSource,
  host: QueueHost,
  openPool?: OpenPool,
): Promise<LoadedQueue> {
  const tasks = new Map<string, LoadableTask>();
  const pools: Pool[] = [];
  const toProve: Pool[] = [];
  for (const taskSource of source.tasks) {
    const { name, formerNames, load } = taskSource.manifest;
    const pool = openPool && isPooled(taskSource) ? openPool(taskSource) : undefined;
    const loadable = pool ? toPooled(taskSource, pool) : toLoadable(taskSource);
    if (pool) pools.push(pool);
    if (load === 'on-start' && !pool) await loadable.load();
    if (load === 'on-start' && pool) toProve.push(pool);
    for (const each of [name, ...formerNames]) tasks.set(each, loadable);
  }
  await proveAll(toProve);
  const isElsewhere = pools.length > 0 && pools.length === source.tasks.length;
  const container = await openOwn(queue, source, host, isElsewhere);
  let closing: Promise<void> | undefined;
  const close = async () => {
    await Promise.all(pools.map((pool) => pool.close()));
    await container.dispose();
  };
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
