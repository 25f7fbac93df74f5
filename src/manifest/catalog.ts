import { IsletError } from '../errors.ts';
import type { QueueManifest } from './define-queue.ts';
import type { AnyTask } from './define-task.ts';
import { didYouMean } from './did-you-mean.ts';

/** A manifest as found: its folder's name, and what the file exports by default. */
export interface FoundManifest {
  folder: string;
  file: string;
  value: unknown;
}

/** All manifests of an app, checked together. Names are looked up as map keys, never as paths. */
export interface Catalog {
  readonly tasks: ReadonlyMap<string, AnyTask>;
  readonly queues: ReadonlyMap<string, QueueManifest>;
  /** Throws `E_TASK_UNKNOWN`. Former names are not accepted here: they are for jobs that are already in Redis. */
  task(name: string): AnyTask;
  /** Throws `E_QUEUE_UNKNOWN`. */
  queue(name: string): QueueManifest;
  tasksOf(queue: string): AnyTask[];
}

const fail = (message: string) => new IsletError('E_CATALOG_INVALID', message);

function collect<T extends { kind: string; name: string }>(kind: T['kind'], found: FoundManifest[]): Map<string, T> {
  const byName = new Map<string, T>();
  for (const { folder, file, value } of found) {
    const manifest = value as T | undefined;
    if (manifest?.kind !== kind) {
      const maker = kind === 'task' ? 'defineTask' : 'defineQueue';
      throw fail(`${file} must export by default what ${maker}() returns. Fix that export.`);
    }
    if (byName.has(manifest.name)) throw fail(`There are two ${kind}s "${manifest.name}"; one of them is ${file}.`);
    if (manifest.name !== folder) {
      throw fail(`${file} names its ${kind} "${manifest.name}", its folder is "${folder}". Make them equal.`);
    }
    byName.set(manifest.name, manifest);
  }
  return byName;
}

function checkTasks(tasks: Map<string, AnyTask>, queues: Map<string, QueueManifest>): void {
  const claimed = new Map<string, string>([...tasks.keys()].map((name) => [name, name]));
  for (const task of tasks.values()) {
    if (!queues.has(task.queue)) {
      throw fail(
        `Task "${task.name}" names a queue "${task.queue}" that is not there.${didYouMean(task.queue, queues.keys())}`,
      );
    }
    for (const former of task.formerNames) {
      const owner = claimed.get(former);
      if (owner)
        throw fail(`Task "${task.name}" has the former name "${former}", which is claimed by task "${owner}".`);
      claimed.set(former, task.name);
    }
  }
}

function checkPriorities(tasks: Iterable<AnyTask>): void {
  const first = new Map<string, AnyTask>();
  for (const task of tasks) {
    const other = first.get(task.queue) ?? task;
    first.set(task.queue, other);
    if ((other.priority === undefined) === (task.priority === undefined)) continue;
    throw fail(
      `Queue "${task.queue}" mixes tasks with and without a priority ("${other.name}", "${task.name}"); ` +
        'jobs without one would starve the others. Give all of its tasks a priority, or none.',
    );
  }
}

/** Checks all manifests together. Throws `E_CATALOG_INVALID` for duplicates, unknown queues and wrong folders. */
export function createCatalog(found: { tasks: FoundManifest[]; queues: FoundManifest[] }): Catalog {
  const queues = collect<QueueManifest>('queue', found.queues);
  const tasks = collect<AnyTask>('task', found.tasks);
  checkTasks(tasks, queues);
  checkPriorities(tasks.values());
  const lookUp = <T>(map: Map<string, T>, kind: string, name: string): T => {
    const hit = map.get(name);
    if (hit) return hit;
    const code = kind === 'task' ? 'E_TASK_UNKNOWN' : 'E_QUEUE_UNKNOWN';
    throw new IsletError(code, `There is no ${kind} "${name}" in this app.${didYouMean(name, map.keys())}`);
  };
  return {
    tasks,
    queues,
    task: (name) => lookUp(tasks, 'task', name),
    queue: (name) => lookUp(queues, 'queue', name),
    tasksOf: (queue) => [...tasks.values()].filter((task) => task.queue === queue),
  };
}
