import { IsletError } from '../../errors.ts';
import type { Budget } from '../../manifest/define-queue.ts';
import { didYouMean } from '../../manifest/did-you-mean.ts';
import { mapAtOnce } from './at-once.ts';
import type { Base } from './check-budget.ts';
import { type CheckedQueue, checkQueue, checkStrays } from './check-queue.ts';
import { compareManifests, findUnreachable } from './compare-manifests.ts';
import { watchApart } from './import-apart.ts';
import { type App, checkConfig, dataOf, findFolders, importManifests } from './import-manifests.ts';
import type { Problem } from './problem.ts';
import { listBase } from './queue-parts.ts';

/** What was found in an app. */
export interface CheckReport {
  queues: CheckedQueue[];
  problems: Problem[];
}

interface CheckOptions {
  /** Islet's own file that a worker process imports. */
  islet: string;
  /** Islet's own file that a process of a pool imports. */
  unit: string;
  /** The only queue to check; undefined for all of them. */
  only?: string | undefined;
}

/** Merges what is wrong in several queues alike, because all of them import it, into one problem of no queue. */
function mergeEqual(problems: Problem[]): Problem[] {
  const merged = new Map<string, Problem>();
  for (const problem of problems) {
    const key = JSON.stringify({ ...problem, queue: null });
    const known = merged.get(key);
    merged.set(key, known && known.queue !== problem.queue ? { ...problem, queue: null } : problem);
  }
  return [...merged.values()];
}

function toBase(app: App, islet: string): Base {
  const modules = listBase(app, islet);
  let bare: Promise<number> | undefined;
  return {
    modules,
    bareBytes() {
      bare ??= watchApart(modules, app.root, 'memory').then(({ seen }) => seen?.rssBytes ?? Number.POSITIVE_INFINITY);
      return bare;
    },
  };
}

/**
 * Imports all that workers would import, each queue in a process of its own, and compares the manifests. Throws
 * `E_APP_NOT_FOUND` and `E_QUEUE_UNKNOWN`.
 */
export async function checkApp(root: string, { islet, unit, only }: CheckOptions): Promise<CheckReport> {
  const app = await findFolders(root);
  const names = app.folders.queues;
  if (only !== undefined && !names.includes(only)) {
    throw new IsletError('E_QUEUE_UNKNOWN', `There is no queue "${only}" in this app.${didYouMean(only, names)}`);
  }
  const [manifests, configProblems] = await Promise.all([importManifests(app), checkConfig(app)]);
  const tasksOf = (queue: string) => manifests.tasks.filter((task) => dataOf(task).queue === queue);
  const wanted = names.filter((queue) => only === undefined || queue === only);
  const strays = manifests.tasks.filter((task) => !names.includes(String(dataOf(task).queue)));
  const [worker, ofUnit] = [toBase(app, islet), toBase(app, unit)];
  const budgetOf = (queue: string) => {
    const manifest = manifests.queues.find((found) => dataOf(found).name === queue);
    const budget = manifest && (dataOf(manifest).budget as Budget | undefined);
    return budget && { budget, worker, unit: ofUnit, manifest: manifest.file };
  };
  const queues = await mapAtOnce(wanted, (queue) => checkQueue(app, queue, tasksOf(queue), budgetOf(queue)));
  const problems = [
    ...configProblems,
    ...manifests.problems,
    ...compareManifests(app, manifests),
    ...(await findUnreachable(app)),
    ...queues.flatMap((queue) => queue.problems),
    ...(only === undefined ? await checkStrays(app, strays) : []),
  ];
  // A problem with the manifest of another queue counts too: it keeps this queue's worker from starting.
  const isWanted = ({ code, queue }: Problem) => only === undefined || code !== 'E_QUEUE_UNUSED' || queue === only;
  return { queues: queues.map(({ checked }) => checked), problems: mergeEqual(problems).filter(isWanted) };
}
