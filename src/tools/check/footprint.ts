import { join } from 'node:path';
import { findFile } from '../../app/app-files.ts';
import { IsletError } from '../../errors.ts';
import type { Budget } from '../../manifest/define-queue.ts';
import { didYouMean } from '../../manifest/did-you-mean.ts';
import { mapAtOnce } from './at-once.ts';
import { importApart, watchApart } from './import-apart.ts';
import { createGraph } from './import-graph.ts';
import { type App, dataOf, findFolders, importManifests } from './import-manifests.ts';
import type { Imported } from './import-module.ts';
import { describePackages, type LoadedPackage } from './loaded-packages.ts';
import { createOwners } from './package-of.ts';
import { type Problem, toProblem } from './problem.ts';
import { listBase, listParts, listProcesses, type Part } from './queue-parts.ts';
import { toSource } from './source-line.ts';
import type { Watch } from './watch-imports.ts';
import { growthOf, importFailed, toMb } from './weigh.ts';

/** What a process loads, and the memory and time that it takes. */
export interface Weight {
  /** The resident memory in MB (1_048_576 bytes), with everything imported and after a garbage collection. */
  rssMb: number;
  /** How many milliseconds all imports took, Islet's own included. */
  importMs: number;
  /** How many files of the app, of Islet and of packages were loaded. */
  files: number;
  /** The packages' names, sorted. */
  packages: string[];
}

/** The footprint of one queue's worker. */
export interface QueueFootprint extends Omit<Weight, 'packages'> {
  queue: string;
  tasks: string[];
  budget: { maxRssMb: number | null; packages: readonly string[] | null };
  /** The queue's own files in the order of their import, each with what it added to the files before it. */
  parts: { file: string; importMs: number; rssMb: number }[];
  /** The packages, the largest first. */
  packages: LoadedPackage[];
  /** What a process with the code of all queues has beyond this one. */
  othersAdd: Weight;
  /** The footprint of each task that runs in a thread or process of its own. */
  pools: PoolFootprint[];
}

/** The footprint of one process of a pool; for a thread, that of the worker's process with this one thread. */
interface PoolFootprint extends Weight {
  task: string;
  kind: 'thread' | 'process';
}

/** The footprints of an app's workers. */
export interface FootprintReport {
  node: string;
  /** What every worker loads: Islet, the settings and all manifests. */
  islet: Weight;
  queues: QueueFootprint[];
  /** The footprint of one process that imports the code of all queues. */
  allQueues: Weight;
}

async function explain(root: string, parts: Part[], results: readonly Imported[]): Promise<IsletError> {
  // This time with source maps, as `islet check` imports.
  const again = await importApart(
    parts.map(({ module }) => module),
    root,
  );
  const failed = again.findIndex(({ ok }) => !ok);
  const [part, result] = [parts[failed], again[failed]];
  const advice = '"islet check" lists all that is wrong.';
  if (part && result && !result.ok) {
    const problem: Problem = toProblem(root, part.subject, result);
    return new IsletError(problem.code, `${problem.message} Nothing was measured. ${advice}`);
  }
  return importFailed(results);
}

async function watchParts(app: App, islet: string, parts: Part[], what: Watch) {
  const base = listBase(app, islet);
  const modules = [...base, ...parts.map(({ module }) => module)];
  const { results, seen } = await watchApart(modules, app.root, what);
  if (!seen) throw await explain(app.root, parts, results);
  return { modules, results, seen, firstOwn: base.length };
}

const timeOf = (result: Imported | undefined) => (result?.ok ? result.ms : 0);
const sum = (results: readonly Imported[]) => results.reduce((all, result) => all + timeOf(result), 0);

/** Measures a process for which nobody asks what pulls in what. */
async function weigh(app: App, islet: string, parts: Part[]): Promise<Weight> {
  const { results, seen } = await watchParts(app, islet, parts, 'files');
  const ownerOf = createOwners(app.root);
  const names = seen.files.map(ownerOf).flatMap((owner) => (owner.kind === 'package' ? owner.name : []));
  const packages = [...new Set(names)].sort();
  return { rssMb: toMb(seen.rssBytes), importMs: sum(results), files: seen.files.length, packages };
}

async function measure(app: App, islet: string, parts: Part[]) {
  const show = (file: string) => toSource(app.root, file);
  const { modules, seen: traced } = await watchParts(app, islet, parts, 'imports');
  // A second process is measured, because recording the imports takes memory and time itself.
  const { results, seen, firstOwn } = await watchParts(app, islet, parts, 'memory');
  const growth = growthOf(results);
  const graph = createGraph(traced.imports, createOwners(app.root));
  const ofApp = modules.slice(1).map(({ file }) => file);
  return {
    rssMb: toMb(seen.rssBytes),
    importMs: sum(results),
    files: traced.files.length,
    parts: parts.map(({ module: { file } }, index) => ({
      file: show(file),
      importMs: timeOf(results[firstOwn + index]),
      rssMb: toMb(growth[firstOwn + index] ?? 0),
    })),
    packages: describePackages(graph, { islet, ofApp, files: traced.files, show }),
  };
}

function compare(own: Awaited<ReturnType<typeof measure>>, all: Weight): Weight {
  const has = new Set(own.packages.map(({ name }) => name));
  return {
    rssMb: Math.round((all.rssMb - own.rssMb) * 10) / 10,
    importMs: all.importMs - own.importMs,
    files: all.files - own.files,
    packages: all.packages.filter((name) => !has.has(name)),
  };
}

/**
 * Measures what each queue's worker loads and takes, in processes of their own. Throws `E_APP_NOT_FOUND`,
 * `E_QUEUE_UNKNOWN`, and the code of whatever cannot be imported.
 */
export async function measureApp(
  root: string,
  { islet, unit }: { islet: string; unit: string },
  only?: string,
): Promise<FootprintReport> {
  const app = await findFolders(root);
  const names = app.folders.queues;
  if (only !== undefined && !names.includes(only)) {
    throw new IsletError('E_QUEUE_UNKNOWN', `There is no queue "${only}" in this app.${didYouMean(only, names)}`);
  }
  const manifests = await importManifests(app);
  const [broken] = manifests.problems;
  if (broken) throw new IsletError(broken.code, `${broken.message} Nothing was measured.`);
  const tasksOf = (queue: string) => manifests.tasks.filter((task) => dataOf(task).queue === queue);
  const partsOf = (queue: string) => listParts(app, queue, tasksOf(queue));
  const shared = findFile(join(app.code, 'queues'), 'hooks');
  const everything = names
    .flatMap(partsOf)
    .filter(
      ({ module }, index, all) =>
        module.file !== shared || all.findIndex((each) => each.module.file === shared) === index,
    );
  const wanted = names.filter((queue) => only === undefined || queue === only);
  const [bare, all] = await mapAtOnce([[], everything], (parts) => weigh(app, islet, parts));
  const processesOf = (queue: string) => listProcesses(app, queue, tasksOf(queue));
  const own = await mapAtOnce(wanted, async (queue) => {
    const [worker, ...others] = processesOf(queue);
    const pools: PoolFootprint[] = [];
    for (const { pool, beside, parts } of others) {
      if (pool)
        pools.push({ ...pool, ...(await weigh(app, pool.kind === 'thread' ? islet : unit, [...beside, ...parts])) });
    }
    return { ...(await measure(app, islet, worker?.parts ?? [])), pools };
  });
  if (!bare || !all) throw new Error('mapAtOnce() gave nothing back');
  const budgetOf = (queue: string) =>
    manifests.queues.map(dataOf).find(({ name }) => name === queue)?.budget as Budget | undefined;
  const queues = own.map((measured, index): QueueFootprint => {
    const queue = wanted[index] ?? '';
    const { maxRssMb = null, packages = null } = budgetOf(queue) ?? {};
    const tasks = tasksOf(queue).map(({ folder }) => folder);
    return { queue, tasks, budget: { maxRssMb, packages }, ...measured, othersAdd: compare(measured, all) };
  });
  return { node: process.version, islet: bare, queues, allQueues: all };
}
