import { join } from 'node:path';
import { findCode, findFile, listFolders } from '../app/app-files.ts';
import { IsletError } from '../errors.ts';
import { type FoundManifest, findCatalogProblems } from '../manifest/catalog.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { didYouMean } from '../manifest/did-you-mean.ts';
import { findCloseNames, type Named } from './close-names.ts';
import { importApart } from './import-apart.ts';
import type { ModuleToImport } from './import-module.ts';
import { findLine, type Problem, toProblem, toSource } from './problem.ts';

/** What was found in an app. */
export interface CheckReport {
  queues: CheckedQueue[];
  problems: Problem[];
}

export interface CheckedQueue {
  queue: string;
  tasks: string[];
  /** Milliseconds that the imports of all its files took, one after the other. */
  importMs: number;
}

interface Place {
  root: string;
  /** The folder of what can be run. */
  code: string;
}

/** How many queues are imported at once: each has a process of its own. */
const atOnce = 2;

interface Manifests {
  tasks: FoundManifest[];
  queues: FoundManifest[];
  problems: Problem[];
}

/** Imports all manifests, and the settings, one by one: one that is broken hides no other. */
async function importManifests({ root, code }: Place): Promise<Manifests> {
  const kinds = ['queues', 'tasks'] as const;
  const listed = kinds.map(async (kind) =>
    (await listFolders(code, kind)).flatMap((folder) => {
      const file = findFile(join(code, kind, folder), 'manifest');
      return file ? [{ kind, folder, file }] : [];
    }),
  );
  const found = (await Promise.all(listed)).flat();
  const config = findFile(join(code, 'config'), 'index');
  const modules: ModuleToImport[] = found.map(({ file, folder: name }) => ({ file, name, exports: 'value' }));
  if (config) modules.push({ file: config, name: 'config', exports: 'value' });
  const imported = await importApart(modules, root);
  const manifests: Manifests = { tasks: [], queues: [], problems: [] };
  for (const [index, result] of imported.entries()) {
    const { file = '', kind, folder = '' } = found[index] ?? { file: config };
    const code = kind ? 'E_MANIFEST_INVALID' : 'E_CONFIG_INVALID';
    if (!result.ok) manifests.problems.push(toProblem(root, { code, file }, result));
    else if (kind) manifests[kind].push({ folder, file: toSource(root, file), value: result.value });
  }
  if (!config) {
    const message = 'The app has no config/index.ts. Add one: `islet init` writes it for a new app.';
    manifests.problems.push({ code: 'E_CONFIG_INVALID', queue: undefined, file: undefined, line: undefined, message });
  }
  return manifests;
}

function nameOwners(found: FoundManifest[]): Named[] {
  return found.flatMap(({ file, value }) => {
    const { kind, name, formerNames = [] } = value as { kind: string; name: string; formerNames?: string[] };
    return [name, ...formerNames].map((each) => ({ name: each, owner: `${kind} "${name}"`, file }));
  });
}

/** What is wrong with manifests that can be imported, each and together. */
function compareManifests(root: string, { tasks, queues }: Manifests): Problem[] {
  const problemOf = (code: string) => (found: { file: string; message: string; queue?: string }) => ({
    code,
    queue: found.queue,
    file: found.file,
    line: findLine(root, found.file, /\bname:/),
    message: found.message,
  });
  const isManifest = ({ value }: FoundManifest) => typeof (value as { name?: unknown } | undefined)?.name === 'string';
  const used = new Set(tasks.map(({ value }) => (value as AnyTask | undefined)?.queue));
  const unused = queues
    .filter((found) => isManifest(found) && !used.has((found.value as QueueManifest).name))
    .map(({ file, value }) => {
      const { name } = value as QueueManifest;
      const message = `Queue "${name}" has no task: its worker has nothing to do. Give it one, or remove its folder.`;
      return { file, message, queue: name };
    });
  const named = [tasks, queues].map((all) => nameOwners(all.filter(isManifest)));
  return [
    ...findCatalogProblems({ tasks, queues }).map(problemOf('E_CATALOG_INVALID')),
    ...named.flatMap((all) => findCloseNames(all)).map(problemOf('E_NAMES_CLOSE')),
    ...unused.map(problemOf('E_QUEUE_UNUSED')),
  ];
}

/** A task's code that nothing can find. */
async function findUnreachable({ root, code }: Place): Promise<Problem[]> {
  const folders = await listFolders(code, 'tasks');
  return folders.flatMap((name) => {
    const folder = join(code, 'tasks', name);
    const task = findFile(folder, 'task');
    if (!task || findFile(folder, 'manifest')) return [];
    const file = toSource(root, task);
    const message = `${file} has no manifest.ts beside it, so nothing enqueues or runs it. Add one, or remove the folder.`;
    return [{ code: 'E_CATALOG_INVALID', queue: undefined, file, line: undefined, message }];
  });
}

type Part = ModuleToImport & { code: string };

/** All that a worker of this queue imports, also what it would import with the first job of a rare task. */
function listParts(code: string, queue: string, tasks: string[]): Part[] {
  const optional = (folder: string, name: string, errorCode: string): Part[] => {
    const file = findFile(folder, name);
    return file ? [{ file, name, exports: 'function', code: errorCode }] : [];
  };
  const folder = join(code, 'queues', queue);
  return [
    ...optional(join(code, 'queues'), 'hooks', 'E_HOOKS_FAILED'),
    ...optional(folder, 'hooks', 'E_HOOKS_FAILED'),
    ...optional(folder, 'dependencies', 'E_DEPENDENCIES_FAILED'),
    ...tasks.map((name): Part => {
      const file = findFile(join(code, 'tasks', name), 'task') ?? join(code, 'tasks', name, 'task.ts');
      return { file, name, exports: 'task', code: 'E_TASK_LOAD_FAILED' };
    }),
  ];
}

async function checkQueue({ root, code }: Place, queue: string, tasks: string[]) {
  const parts = listParts(code, queue, tasks);
  const imported = await importApart(parts, root);
  const problems = imported.flatMap((result, index) => {
    const part = parts[index];
    return part && !result.ok ? [toProblem(root, { code: part.code, queue, file: part.file }, result)] : [];
  });
  const importMs = imported.reduce((sum, result) => sum + (result.ok ? result.ms : 0), 0);
  return { checked: { queue, tasks, importMs }, problems };
}

/** Runs work on all items, a few at a time; the results are in the items' order. */
async function mapAtOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...items.entries()];
  const run = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  return results;
}

/** What all queues import is broken in each of them, and is one problem. */
function mergeEqual(problems: Problem[]): Problem[] {
  const merged = new Map<string, Problem>();
  for (const problem of problems) {
    const key = JSON.stringify({ ...problem, queue: undefined });
    const known = merged.get(key);
    merged.set(key, known && known.queue !== problem.queue ? { ...problem, queue: undefined } : problem);
  }
  return [...merged.values()];
}

/**
 * Imports all that workers would import, each queue in a process of its own, and compares the manifests. With `only`,
 * of the queues just that one. Throws `E_APP_NOT_FOUND` and `E_QUEUE_UNKNOWN`.
 */
export async function checkApp(root: string, only?: string): Promise<CheckReport> {
  const place = { root, code: findCode(root) };
  const manifests = await importManifests(place);
  const folders = manifests.queues.map(({ folder }) => folder);
  if (only !== undefined && !(await listFolders(place.code, 'queues')).includes(only)) {
    const message = `There is no queue "${only}" in this app.${didYouMean(only, folders)}`;
    throw new IsletError('E_QUEUE_UNKNOWN', message);
  }
  const tasksOf = (queue: string) =>
    manifests.tasks.filter(({ value }) => (value as AnyTask | undefined)?.queue === queue).map(({ folder }) => folder);
  const wanted = folders.filter((queue) => only === undefined || queue === only);
  const queues = await mapAtOnce(wanted, (queue) => checkQueue(place, queue, tasksOf(queue)));
  const problems = [
    ...manifests.problems,
    ...compareManifests(root, manifests),
    ...(await findUnreachable(place)),
    ...queues.flatMap((queue) => queue.problems),
  ];
  return { queues: queues.map(({ checked }) => checked), problems: mergeEqual(problems) };
}
