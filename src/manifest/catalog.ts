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

/** What is wrong with an app's manifests, and in which file. */
export interface CatalogProblem {
  message: string;
  file: string;
  /** The option of the manifest that the problem is about. */
  option: string | undefined;
}

/** The manifests of an app, before they are checked together. */
export interface FoundManifests {
  tasks: FoundManifest[];
  queues: FoundManifest[];
}

type Report = (file: string, message: string, option?: string) => void;

/** Checks all manifests together. Throws `E_CATALOG_INVALID` for duplicates, unknown queues and wrong folders. */
export function createCatalog(found: FoundManifests): Catalog {
  const [problem] = findCatalogProblems(found);
  if (problem) throw new IsletError('E_CATALOG_INVALID', problem.message);
  const byName = <T extends Named>(all: FoundManifest[]) =>
    new Map(all.map(({ value }) => [(value as T).name, value as T] as const));
  const tasks = byName<AnyTask>(found.tasks);
  const queues = byName<QueueManifest>(found.queues);
  const lookUp = <T>(map: Map<string, T>, kind: 'task' | 'queue', name: string): T => {
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

/** Lists all that is wrong with manifests, each and together. `known` are queues that are there, although broken. */
export function findCatalogProblems(found: FoundManifests, known: readonly string[] = []): CatalogProblem[] {
  const problems: CatalogProblem[] = [];
  const report: Report = (file, message, option) => void problems.push({ file, message, option });
  const queues = collect<QueueManifest>('queue', found.queues, report);
  const tasks = collect<AnyTask>('task', found.tasks, report);
  checkTasks(tasks, new Set([...queues.keys(), ...known]), report);
  checkPriorities(tasks, report);
  return problems;
}

interface Named {
  name: string;
}

type Collected<T> = Map<string, { manifest: T; file: string }>;

/** Returns the manifests that are what they seem to be, by name. */
function collect<T extends Named>(kind: 'task' | 'queue', found: FoundManifest[], report: Report): Collected<T> {
  const byName: Collected<T> = new Map();
  for (const { folder, file, value } of found) {
    const manifest = value as (T & { kind: unknown }) | undefined;
    if (manifest?.kind !== kind) {
      const maker = kind === 'task' ? 'defineTask' : 'defineQueue';
      report(file, `${file} must export by default what ${maker}() returns. Fix that export.`);
    } else if (byName.has(manifest.name)) {
      report(file, `There are two ${kind}s "${manifest.name}"; one of them is ${file}.`, 'name');
    } else if (manifest.name !== folder) {
      const seen = `${file} names its ${kind} "${manifest.name}", its folder is "${folder}".`;
      report(file, `${seen} Make them equal.`, 'name');
    } else {
      byName.set(manifest.name, { manifest, file });
    }
  }
  return byName;
}

function checkTasks(tasks: Collected<AnyTask>, queues: ReadonlySet<string>, report: Report): void {
  const claimed = new Map<string, string>([...tasks.keys()].map((name) => [name, name]));
  for (const { manifest: task, file } of tasks.values()) {
    if (!queues.has(task.queue)) {
      const seen = `Task "${task.name}" names a queue "${task.queue}" that is not there.`;
      report(file, `${seen}${didYouMean(task.queue, queues)}`, 'queue');
    }
    for (const former of task.formerNames) {
      const owner = claimed.get(former);
      claimed.set(former, task.name);
      if (!owner) continue;
      const seen = `Task "${task.name}" has the former name "${former}", which is claimed by task "${owner}".`;
      report(file, seen, 'formerNames');
    }
  }
}

function checkPriorities(tasks: Collected<AnyTask>, report: Report): void {
  const first = new Map<string, AnyTask>();
  for (const { manifest: task, file } of tasks.values()) {
    const other = first.get(task.queue) ?? task;
    first.set(task.queue, other);
    if ((other.priority === undefined) === (task.priority === undefined)) continue;
    const seen = `Queue "${task.queue}" mixes tasks with and without a priority ("${other.name}", "${task.name}")`;
    const advice = 'jobs without one would starve the others. Give all of its tasks a priority, or none.';
    report(file, `${seen}; ${advice}`, task.priority === undefined ? 'name' : 'priority');
  }
}
