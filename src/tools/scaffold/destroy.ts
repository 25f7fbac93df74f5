import { randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { IsletError } from '../../errors.ts';
import { checks } from '../../manifest/check-options.ts';
import type { QueueManifest } from '../../manifest/define-queue.ts';
import { closest, didYouMean } from '../../manifest/did-you-mean.ts';
import { withFolder } from './files.ts';
import type { Kind } from './names.ts';
import type { AppSources } from './read-manifests.ts';

/** What a removal would take, and the names of the jobs in Redis that it concerns. */
export interface Removal {
  kind: Kind;
  name: string;
  /** The folder, from the app's folder. */
  path: string;
  /** The files in it, from that folder. */
  files: string[];
  /** The queue that the jobs are in; undefined when a task's manifest is broken. */
  queue: string | undefined;
  /** The queue of BullMQ that this queue is, where it is an existing one. */
  bullmq: QueueManifest['bullmq'];
  /** The names of the jobs; undefined for a queue, which stands for all of its jobs. */
  jobNames: string[] | undefined;
  /** A task of the same queue with a similar name, which may be the new name of this one. */
  heir: string | undefined;
}

async function listFiles(folder: string): Promise<string[]> {
  // A link is removed, and what it leads to stays.
  if ((await lstat(folder)).isSymbolicLink()) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

function unknown({ tasks, queues }: AppSources, kind: Kind, name: string): IsletError {
  const heir = kind === 'task' && [...tasks.values()].find((task) => task?.formerNames.includes(name));
  const known: ReadonlyMap<string, unknown> = kind === 'task' ? tasks : queues;
  const hint = heir ? ` It is a former name of task "${heir.name}".` : didYouMean(name, known.keys());
  const code = kind === 'task' ? 'E_TASK_UNKNOWN' : 'E_QUEUE_UNKNOWN';
  return new IsletError(code, `There is no ${kind} "${name}" in this app.${hint} Nothing was removed.`);
}

/** Finds the tasks of a queue. A broken manifest counts when its text names the queue. */
function findTasksOf({ tasks, broken }: AppSources, queue: string): string[] {
  const sure = [...tasks.values()].flatMap((task) => (task?.queue === queue ? `"${task.name}"` : []));
  const names = new RegExp(`['"\`/]${queue}['"\`/]`);
  const unsure = broken.filter(({ file, text }) => file.startsWith('tasks/') && names.test(text));
  return [...sure, ...unsure.map(({ file }) => `the one of ${file}, which is broken`)];
}

function findHeir({ tasks }: AppSources, name: string): string | undefined {
  const others = [...tasks.values()].filter((task) => task?.queue === tasks.get(name)?.queue);
  const names = others.flatMap((task) => (task && task.name !== name ? task.name : []));
  return closest(name, names);
}

/** Says what the removal of a task or queue would take. Throws `E_TASK_UNKNOWN`, `E_QUEUE_UNKNOWN`, `E_QUEUE_IN_USE`. */
export async function planRemoval(app: AppSources, kind: Kind, name: string): Promise<Removal> {
  const path = `${kind}s/${name}`;
  const isThere = checks.name(name) === undefined && (await lstat(join(app.root, path)).catch(() => undefined));
  if (!isThere) throw unknown(app, kind, name);
  const files = await listFiles(join(app.root, path));
  const base = { kind, name, path, files };
  if (kind === 'queue') {
    const tasks = findTasksOf(app, name);
    if (tasks.length === 0) {
      const { bullmq } = app.queues.get(name) ?? {};
      return { ...base, queue: name, bullmq, jobNames: undefined, heir: undefined };
    }
    const advice = 'Nothing was removed. Remove them first, or name another queue in their manifests.';
    throw new IsletError('E_QUEUE_IN_USE', `Queue "${name}" still has tasks: ${tasks.join(', ')}. ${advice}`);
  }
  const task = app.tasks.get(name);
  const jobNames = [name, ...(task?.formerNames ?? [])];
  return { ...base, queue: task?.queue, bullmq: task?.bullmq, jobNames, heir: task && findHeir(app, name) };
}

/** Removes the folder of a task or queue: first out of the app in one step, then from the disk. */
export async function removeFolder({ root }: AppSources, { path }: Removal): Promise<void> {
  await mkdir(join(root, '.islet'), { recursive: true, mode: 0o700 });
  const removed = join(root, '.islet', `removed-${randomUUID()}`);
  await withFolder(removed, () => rename(join(root, path), removed));
}
