import { join } from 'node:path';
import { findFile } from '../../app/app-files.ts';
import type { FoundManifest } from '../../manifest/catalog.ts';
import { type App, dataOf } from './import-manifests.ts';
import type { ModuleToImport } from './import-module.ts';
import type { Subject } from './problem.ts';

/** A file of the app that a worker imports. */
export interface Part {
  module: ModuleToImport;
  subject: Subject;
}

/** Lists what the tasks of a queue share: the hooks of all queues, the queue's own hooks, and its dependencies. */
function listShared(code: string, queue: string): Part[] {
  const folder = join(code, 'queues', queue);
  const effect = `Until this is fixed, the worker of queue "${queue}" does not start.`;
  const files = [
    [
      join(code, 'queues'),
      'hooks',
      'E_HOOKS_FAILED',
      'The hooks of all queues',
      'Until this is fixed, no worker starts.',
    ],
    [folder, 'hooks', 'E_HOOKS_FAILED', `The hooks of queue "${queue}"`, effect],
    [folder, 'dependencies', 'E_DEPENDENCIES_FAILED', `The dependencies of queue "${queue}"`, effect],
  ] as const;
  return files.flatMap(([where, name, errorCode, title, effect]): Part[] => {
    const file = findFile(where, name);
    if (file === undefined) return [];
    const module = { file, name, exports: 'function' } as const;
    return [{ module, subject: { code: errorCode, queue, file, title, effect } }];
  });
}

/** Describes a task's code. */
export function toPart(code: string, queue: string, task: FoundManifest): Part {
  const { folder } = task;
  const file = findFile(join(code, 'tasks', folder), 'task') ?? join(code, 'tasks', folder, 'task.ts');
  const rare = dataOf(task).load === 'on-first-job';
  const effect = rare
    ? 'Until this is fixed, its jobs fail.'
    : `Until this is fixed, the worker of queue "${queue}" does not start.`;
  const title = `Task "${folder}" (queue "${queue}")`;
  return {
    module: { file, name: folder, exports: 'task' },
    subject: { code: 'E_TASK_LOAD_FAILED', queue, file, title, effect },
  };
}

/** A process that runs a queue's code, its worker or a thread or process of a task's pool, and what it imports. */
export interface QueueProcess {
  /** How a message names it, as the subject of a sentence. */
  readonly title: string;
  /** The pool that it belongs to; undefined for the worker itself. */
  readonly pool: { readonly task: string; readonly kind: 'thread' | 'process' } | undefined;
  /** For a thread, what its process has already imported as the worker. */
  readonly beside: Part[];
  readonly parts: Part[];
}

const poolOf = (task: FoundManifest) => (dataOf(task).pool as { kind?: unknown } | undefined)?.kind;
const isOwn = (kind: unknown) => kind !== 'thread' && kind !== 'process';

/**
 * Lists the processes of a queue, and which of its files each of them imports. A task that runs in a thread or process is
 * imported there, with the dependencies; if all tasks do, the worker itself does not import the dependencies.
 */
export function listProcesses({ code }: App, queue: string, tasks: FoundManifest[]): QueueProcess[] {
  const shared = listShared(code, queue);
  const dependencies = shared.filter(({ subject }) => subject.code === 'E_DEPENDENCIES_FAILED');
  const hooks = shared.filter((part) => !dependencies.includes(part));
  const own = tasks.filter((task) => isOwn(poolOf(task)));
  const needed = tasks.length > 0 && own.length === 0 ? hooks : shared;
  const worker = [...needed, ...own.map((task) => toPart(code, queue, task))];
  const pools = tasks.flatMap((task): QueueProcess[] => {
    const kind = poolOf(task);
    if (kind !== 'thread' && kind !== 'process') return [];
    const title = `A ${kind} of task "${task.folder}" (queue "${queue}")`;
    const beside = kind === 'thread' ? worker : [];
    const parts = [...dependencies, toPart(code, queue, task)];
    return [{ title, pool: { task: task.folder, kind }, beside, parts }];
  });
  return [{ title: `Queue "${queue}"`, pool: undefined, beside: [], parts: worker }, ...pools];
}

/** Lists all files of a queue, wherever they are imported, including those of rare tasks. */
export function listParts({ code }: App, queue: string, tasks: FoundManifest[]): Part[] {
  return [...listShared(code, queue), ...tasks.map((task) => toPart(code, queue, task))];
}

/** Lists what every worker imports before the code of its queue: Islet's own file, the settings and all manifests. */
export function listBase({ code, folders }: App, islet: string): ModuleToImport[] {
  const settings = findFile(join(code, 'config'), 'index');
  const manifests = (['queues', 'tasks'] as const).flatMap((kind) =>
    folders[kind].map((name) => ({ file: findFile(join(code, kind, name), 'manifest') ?? '', name })),
  );
  return [
    { file: islet, name: 'islet', exports: 'anything' },
    ...(settings === undefined ? [] : [{ file: settings, name: 'config', exports: 'settings' } as const]),
    ...manifests.map((manifest) => ({ ...manifest, exports: 'manifest' }) as const),
  ];
}
