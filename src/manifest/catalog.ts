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
export type Catalog = ReturnType<typeof createCatalog>;

/** The manifests of an app, before they are checked together. */
type FoundManifests = Record<'tasks' | 'queues', FoundManifest[]>;

/** What is wrong with a manifest, and with which option of it. */
type Problem = { file: string; message: string; option?: string };

/** Checks all manifests together. Throws `E_CATALOG_INVALID` for duplicates, unknown queues and wrong folders. */
export function createCatalog(found: FoundManifests) {
  const [problem] = findCatalogProblems(found);
  if (problem) throw new IsletError('E_CATALOG_INVALID', problem.message);
  // A manifest has the name of its folder.
  const tasks = new Map(found.tasks.map(({ folder, value }) => [folder, value as AnyTask]));
  const queues = new Map(found.queues.map(({ folder, value }) => [folder, value as QueueManifest]));
  const lookUp = <T>(map: Map<string, T>, kind: 'task' | 'queue', name: string): T => {
    const hit = map.get(name);
    if (hit) return hit;
    const code = kind === 'task' ? 'E_TASK_UNKNOWN' : 'E_QUEUE_UNKNOWN';
    throw new IsletError(code, `There is no ${kind} "${name}" in this app.${didYouMean(name, map.keys())}`);
  };
  return {
    tasks,
    /** Throws `E_TASK_UNKNOWN`. Former names are not accepted here: they are for jobs that are already in Redis. */
    task: (name: string) => lookUp(tasks, 'task', name),
    /** Throws `E_QUEUE_UNKNOWN`. */
    queue: (name: string) => lookUp(queues, 'queue', name),
    tasksOf: (queue: string) => [...tasks.values()].filter((task) => task.queue === queue),
  };
}

/** Lists all that is wrong with manifests, each and together. `known` are queues that are there, although broken. */
export function findCatalogProblems(found: FoundManifests, known: readonly string[] = []): Problem[] {
  const problems: Problem[] = [];
  const queues = collect<QueueManifest>('queue', found.queues, problems);
  const tasks = collect<AnyTask>('task', found.tasks, problems);
  checkPlaces(queues, problems);
  checkTasks(tasks, new Set([...queues.keys(), ...known]), problems);
  checkMappings(tasks, queues, problems);
  checkPriorities(tasks, problems);
  return problems;
}

type Collected<T> = Map<string, { manifest: T; file: string }>;

/** Returns the manifests that are what they seem to be, by name. */
function collect<T extends { name: string }>(kind: 'task' | 'queue', found: FoundManifest[], problems: Problem[]) {
  const byName: Collected<T> = new Map();
  for (const { folder, file, value } of found) {
    const manifest = value as (T & { kind: unknown }) | undefined;
    if (manifest?.kind !== kind) {
      const maker = kind === 'task' ? 'defineTask' : 'defineQueue';
      problems.push({ file, message: `${file} must export by default what ${maker}() returns. Fix that export.` });
    } else if (byName.has(manifest.name)) {
      const message = `There are two ${kind}s "${manifest.name}"; one of them is ${file}.`;
      problems.push({ file, message, option: 'name' });
    } else if (manifest.name !== folder) {
      const message = `${file} names its ${kind} "${manifest.name}", but its folder is "${folder}". Make them equal.`;
      problems.push({ file, message, option: 'name' });
    } else {
      byName.set(manifest.name, { manifest, file });
    }
  }
  return byName;
}

const placeOf = ({ bullmq }: Pick<QueueManifest, 'bullmq'>) => bullmq && `${bullmq.prefix}:${bullmq.name}`;

/** Two queues in one place would take each other's jobs. */
function checkPlaces(queues: Collected<QueueManifest>, problems: Problem[]): void {
  const owners = new Map<string, string>();
  for (const { manifest, file } of queues.values()) {
    const place = placeOf(manifest);
    if (place === undefined) continue;
    const owner = owners.get(place);
    owners.set(place, manifest.name);
    if (owner === undefined) continue;
    const message = `Queues "${owner}" and "${manifest.name}" are both the queue "${place}" of BullMQ. Make them one queue.`;
    problems.push({ file, message, option: 'bullmq' });
  }
}

/** A producer knows a task's manifest alone: it must tell where the jobs go. */
function checkMappings(tasks: Collected<AnyTask>, queues: Collected<QueueManifest>, problems: Problem[]): void {
  for (const { manifest: task, file } of tasks.values()) {
    const queue = queues.get(task.queue)?.manifest;
    const [ours, theirs] = [placeOf(task), queue && placeOf(queue)];
    if (!queue || ours === theirs) continue;
    const seen = `Task "${task.name}" sends its jobs to ${ours ? `"${ours}"` : `Islet's own queue "${task.queue}"`}`;
    const but = theirs ? `its queue "${task.queue}" is "${theirs}" in BullMQ` : `queue "${task.queue}" is Islet's own`;
    const line = `import queue from '../../queues/${task.queue}/manifest.ts', and write \`queue\` in place of the name`;
    problems.push({ file, message: `${seen}, but ${but}. Give it the queue's manifest: ${line}.`, option: 'queue' });
  }
}

function checkTasks(tasks: Collected<AnyTask>, queues: ReadonlySet<string>, problems: Problem[]): void {
  // A job is of the queue that it is in: another queue may have a task of its name.
  const keyOf = (queue: string, jobName: string) => `${queue}\n${jobName}`;
  const owners = new Map([...tasks.values()].map(({ manifest: { name, queue } }) => [keyOf(queue, name), name]));
  for (const { manifest, file } of tasks.values()) {
    const { name, queue, formerNames } = manifest;
    if (!queues.has(queue)) {
      const guess = didYouMean(queue, queues);
      const message = `Task "${name}" names a queue "${queue}" that does not exist.${guess}`;
      problems.push({ file, message, option: 'queue' });
    }
    for (const former of formerNames) {
      const owner = owners.get(keyOf(queue, former));
      owners.set(keyOf(queue, former), name);
      if (!owner) continue;
      const message = `Task "${name}" has the former name "${former}", which is claimed by task "${owner}" of queue "${queue}".`;
      problems.push({ file, message, option: 'formerNames' });
    }
  }
}

function checkPriorities(tasks: Collected<AnyTask>, problems: Problem[]): void {
  const first = new Map<string, AnyTask>();
  for (const { manifest: task, file } of tasks.values()) {
    const other = first.get(task.queue) ?? task;
    first.set(task.queue, other);
    if ((other.priority === undefined) === (task.priority === undefined)) continue;
    const seen = `Queue "${task.queue}" mixes tasks with and without a priority ("${other.name}", "${task.name}")`;
    const message = `${seen}; jobs without one would starve the others. Give all of its tasks a priority, or none.`;
    problems.push({ file, message, option: task.priority === undefined ? 'name' : 'priority' });
  }
}
