import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IsletError } from '../../errors.ts';
import { didYouMean } from '../../manifest/did-you-mean.ts';
import { checkName, findProblem, type Kind } from './names.ts';
import { type NewFolder, placeFolders } from './place-folders.ts';
import { type NewQueue, queueFiles } from './queue-files.ts';
import type { AppSources } from './read-manifests.ts';
import { type NewTask, taskFiles } from './task-files.ts';

type TaskRequest = Omit<NewTask, 'hasDependencies' | 'isMapped' | 'priority'> & { createQueue?: boolean };

/**
 * Says what has a name already and what to do about it; undefined when the name is free. A former name of a task counts
 * in the queue of that task, or anywhere where the new task's queue is not known yet.
 */
function findOwner({ root, tasks, queues }: AppSources, kind: Kind, name: string, queue?: string) {
  const known: ReadonlyMap<string, unknown> = kind === 'task' ? tasks : queues;
  if (known.has(name) || existsSync(join(root, `${kind}s/${name}`))) return folderOwner(kind, name);
  if (kind === 'queue') return undefined;
  const heir = [...tasks.values()].find(
    (task) => task?.formerNames.includes(name) && task.queue === (queue ?? task.queue),
  );
  return (
    heir && {
      owner: `it is a former name of task "${heir.name}", which runs the jobs that were enqueued under it`,
      advice: `remove it from \`formerNames\` in tasks/${heir.name}/manifest.ts once no such job is left`,
    }
  );
}

const folderOwner = (kind: Kind, name: string) => ({
  owner: `the folder ${kind}s/${name} already exists`,
  advice: `run "islet destroy ${kind} ${name}"`,
});

/** Says why a new task or queue cannot have this name; undefined when it can. */
export function findNameProblem(app: AppSources, kind: Kind, name: string): string | undefined {
  return findProblem(name) ?? findOwner(app, kind, name)?.owner;
}

function nameTaken(kind: Kind, name: string, { owner, advice }: ReturnType<typeof folderOwner>): IsletError {
  const what = `A new ${kind} cannot be called "${name}": ${owner}. Nothing was written.`;
  return new IsletError('E_NAME_TAKEN', `${what} Choose another name, or ${advice}.`);
}

function checkNew(app: AppSources, kind: Kind, name: string, queue?: string): void {
  checkName(kind, name);
  const owner = findOwner(app, kind, name, queue);
  if (owner) throw nameTaken(kind, name, owner);
}

async function exportsDependencies(root: string, queue: string): Promise<boolean> {
  const text = await readFile(join(root, 'queues', queue, 'dependencies.ts'), 'utf8').catch(() => '');
  return /\bexport\s+(type|interface)\s+Dependencies\b|\bexport\s+(type\s+)?\{[^}]*\bDependencies\b/.test(text);
}

/** Returns the lowest priority in a queue for its new task: either all tasks of a queue have a priority, or none. */
function priorityIn({ tasks }: AppSources, queue: string): number | undefined {
  const priorities = [...tasks.values()].flatMap((task) => (task?.queue === queue ? (task.priority ?? []) : []));
  return priorities.length > 0 ? Math.max(...priorities) : undefined;
}

async function place(app: AppSources, kind: Kind, wanted: NewFolder, needed?: NewFolder): Promise<string[]> {
  const placed = await placeFolders(app.root, wanted, needed);
  const name = wanted.path.slice(`${kind}s/`.length);
  if (placed.length === 0) throw nameTaken(kind, name, folderOwner(kind, name));
  return placed.flatMap(({ path, files }) => Object.keys(files).map((file) => `${path}/${file}`));
}

/**
 * Writes a new task, and its queue if that is asked for, or nothing at all. Returns the paths of the files, from the app's
 * folder. Throws `E_NAME_INVALID`, `E_NAME_TAKEN` and `E_QUEUE_UNKNOWN`.
 */
export async function generateTask(app: AppSources, request: TaskRequest): Promise<string[]> {
  const { name, queue, createQueue = false } = request;
  checkNew(app, 'task', name, queue);
  const isNew = !app.queues.has(queue);
  if (isNew && createQueue) checkName('queue', queue);
  if (isNew && !createQueue) {
    const advice = 'Nothing was written. Give --create-queue to make it too.';
    throw new IsletError(
      'E_QUEUE_UNKNOWN',
      `There is no queue "${queue}" in this app.${didYouMean(queue, app.queues.keys())} ${advice}`,
    );
  }
  const hasDependencies = isNew || (await exportsDependencies(app.root, queue));
  const isMapped = app.queues.get(queue)?.bullmq !== undefined;
  const files = taskFiles({ ...request, hasDependencies, isMapped, priority: priorityIn(app, queue) });
  const needed = isNew ? { path: `queues/${queue}`, files: queueFiles({ name: queue }) } : undefined;
  return place(app, 'task', { path: `tasks/${name}`, files }, needed);
}

/** Writes a new queue, or nothing at all. Returns and throws as `generateTask` does. */
export async function generateQueue(app: AppSources, queue: NewQueue): Promise<string[]> {
  checkNew(app, 'queue', queue.name);
  return place(app, 'queue', { path: `queues/${queue.name}`, files: queueFiles(queue) });
}
