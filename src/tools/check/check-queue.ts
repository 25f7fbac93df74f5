import { IsletError } from '../../errors.ts';
import type { FoundManifest } from '../../manifest/catalog.ts';
import { type BudgetToCheck, checkBudget } from './check-budget.ts';
import { importApart } from './import-apart.ts';
import { type App, dataOf } from './import-manifests.ts';
import { type Problem, toProblem } from './problem.ts';
import { listProcesses, type Part, type QueueProcess, toPart } from './queue-parts.ts';

/** What a check has seen of a queue. */
export interface CheckedQueue {
  queue: string;
  tasks: string[];
  /** How many milliseconds the imports of all its files took, one after the other. */
  importMs: number;
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

function toUnseen(queue: string, { manifest: file }: BudgetToCheck, { code, message }: IsletError): Problem {
  return { code, queue, file, line: null, message };
}

/**
 * Imports all that a worker of this queue imports, including what it imports with the first job of a rare task. When the
 * queue's manifest has a budget, the process first imports what every worker imports, and is then weighed.
 */
export async function checkQueue(app: App, queue: string, tasks: FoundManifest[], budget: BudgetToCheck | undefined) {
  const check = async (queueProcess: QueueProcess) => {
    const weighed = budget && (await checkBudget(app, queue, queueProcess, budget));
    if (weighed && !(weighed instanceof IsletError)) return weighed;
    const { importMs, problems } = await importParts(app.root, queueProcess.parts);
    // Broken imports are reported first. If there are none, the budget could not be checked, and so does not count as kept.
    return { importMs, problems: weighed && problems.length === 0 ? [toUnseen(queue, budget, weighed)] : problems };
  };
  const found = [];
  // Each gets a process of its own, as in production.
  for (const each of listProcesses(app, queue, tasks)) found.push(await check(each));
  const importMs = found.reduce((sum, each) => sum + each.importMs, 0);
  const checked: CheckedQueue = { queue, tasks: tasks.map(({ folder }) => folder), importMs };
  return { checked, problems: found.flatMap((each) => each.problems) };
}

/** Imports tasks whose queue does not exist, so that their other problems are reported at the same time. */
export async function checkStrays(app: App, tasks: FoundManifest[]): Promise<Problem[]> {
  const parts = tasks.map((task) => toPart(app.code, String(dataOf(task).queue), task));
  const { problems } = await importParts(app.root, parts);
  return problems.map((problem) => ({ ...problem, queue: null }));
}
