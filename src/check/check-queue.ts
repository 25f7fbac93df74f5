import { join } from 'node:path';
import { findFile } from '../app/app-files.ts';
import type { FoundManifest } from '../manifest/catalog.ts';
import { importApart } from './import-apart.ts';
import { type App, dataOf } from './import-manifests.ts';
import type { ModuleToImport } from './import-module.ts';
import { type Problem, type Subject, toProblem } from './problem.ts';

/** What was seen of a queue. */
export interface CheckedQueue {
  queue: string;
  tasks: string[];
  /** Milliseconds that the imports of all its files took, one after the other. */
  importMs: number;
}

interface Part {
  module: ModuleToImport;
  subject: Subject;
}

/** Hooks of all queues, this queue's own, and its dependencies: each where there is one. */
function listShared(code: string, queue: string): Part[] {
  const folder = join(code, 'queues', queue);
  const effect = `The worker of queue "${queue}" does not start like this.`;
  const files = [
    [join(code, 'queues'), 'hooks', 'E_HOOKS_FAILED', 'The hooks of all queues', 'No worker starts like this.'],
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

function toPart(code: string, queue: string, task: FoundManifest): Part {
  const { folder } = task;
  const file = findFile(join(code, 'tasks', folder), 'task') ?? join(code, 'tasks', folder, 'task.ts');
  const rare = dataOf(task).load === 'on-first-job';
  const effect = rare ? 'Its jobs fail like this.' : `The worker of queue "${queue}" does not start like this.`;
  const title = `Task "${folder}" (queue "${queue}")`;
  return {
    module: { file, name: folder, exports: 'task' },
    subject: { code: 'E_TASK_LOAD_FAILED', queue, file, title, effect },
  };
}

async function importParts(root: string, parts: Part[]): Promise<{ importMs: number; problems: Problem[] }> {
  const modules = parts.map(({ module }) => module);
  const imported = await importApart(modules, root);
  const problems = imported.flatMap((result, index) => {
    const part = parts[index];
    return part && !result.ok ? [toProblem(root, part.subject, result)] : [];
  });
  return { importMs: imported.reduce((sum, result) => sum + (result.ok ? result.ms : 0), 0), problems };
}

/** Imports all that a worker of this queue imports, also what it would import with the first job of a rare task. */
export async function checkQueue({ root, code }: App, queue: string, tasks: FoundManifest[]) {
  const parts = [...listShared(code, queue), ...tasks.map((task) => toPart(code, queue, task))];
  const { importMs, problems } = await importParts(root, parts);
  const checked: CheckedQueue = { queue, tasks: tasks.map(({ folder }) => folder), importMs };
  return { checked, problems };
}

/** Imports tasks whose queue is not there: what else is wrong with them should not have to wait. */
export async function checkStrays({ root, code }: App, tasks: FoundManifest[]): Promise<Problem[]> {
  const parts = tasks.map((task) => toPart(code, String(dataOf(task).queue), task));
  const { problems } = await importParts(root, parts);
  return problems.map((problem) => ({ ...problem, queue: null }));
}
