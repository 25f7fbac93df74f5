import { join } from 'node:path';
import type { Budget } from '../../manifest/define-queue.ts';
import { watchApart } from './import-apart.ts';
import {
  createGraph,
  type Found,
  findBrought,
  findDirect,
  findUnnamed,
  type ImportGraph,
  showChain,
} from './import-graph.ts';
import type { App } from './import-manifests.ts';
import type { Imported, ModuleToImport } from './import-module.ts';
import { createOwners } from './package-of.ts';
import type { Problem } from './problem.ts';
import type { QueueProcess } from './queue-parts.ts';
import { findImport, findOption, toSource } from './source-line.ts';
import { looksSuspicious } from './suspect-packages.ts';
import { growthOf, importFailed, isOver, toMb, weighFor } from './weigh.ts';

/** What a process imports before the code of a queue. */
export interface Base {
  /** The modules in their order, Islet's own first. */
  modules: ModuleToImport[];
  /** Measures, once for all queues, the resident memory of a process that has imported these modules. */
  bareBytes(): Promise<number>;
}

/** A queue's budget, and what a check of it needs. */
export interface BudgetToCheck {
  budget: Budget;
  worker: Base;
  /** What a process of a pool imports first; such a process has no connection to Redis. */
  unit: Base;
  /** The file of the queue's manifest, from the app's folder. */
  manifest: string;
}

interface Weighed {
  app: App;
  queue: string;
  title: string;
  whose: string;
  manifest: string;
  modules: ModuleToImport[];
  /** The index of the first module that belongs to the queue. */
  firstOwn: number;
}

const code = 'E_BUDGET_EXCEEDED';

/** An estimate below this share of the limit is trusted; above it, the whole process is measured. */
const surelyBelow = 0.85;

const andMore = (brought: string[]) => (brought.length === 0 ? '' : ` (it brings ${brought.length} more)`);

/** Imports the modules once more, and records which file imports which. */
async function trace({ app, modules }: Weighed): Promise<ImportGraph | undefined> {
  const { seen } = await watchApart(modules, app.root, 'imports');
  return seen && createGraph(seen.imports, createOwners(app.root));
}

function tellChain({ app }: Weighed, graph: ImportGraph, found: Found): string {
  const chain = showChain(graph, found.chain, (file) => toSource(app.root, file));
  return `${chain.join(' -> ')}${andMore(findBrought(graph, found))}`;
}

function tellPackage(weighed: Weighed, graph: ImportGraph, found: Found, allowed: readonly string[]): Problem {
  const { app, queue, title, whose, manifest } = weighed;
  const file = toSource(app.root, found.chain.at(-2) ?? manifest);
  const names = allowed.length === 0 ? 'none' : allowed.join(', ');
  const message =
    `${title} loads the package "${found.name}", which ${whose} budget does not allow (it allows: ${names}).\n` +
    `${tellChain(weighed, graph, found)}\n` +
    `Import it in a task of another queue, or add it to \`budget.packages\` in ${manifest}.`;
  return { code, queue, file, line: findImport(app.root, file, found.name) ?? null, message };
}

async function checkPackages(weighed: Weighed, files: string[], allowed: readonly string[]): Promise<Problem[]> {
  if (!looksSuspicious(files, createOwners(weighed.app.root), allowed)) return [];
  const graph = await trace(weighed);
  if (!graph) return [];
  const [, ...ofApp] = weighed.modules.map(({ file }) => file);
  return findUnnamed(graph, ofApp, allowed).map((found) => tellPackage(weighed, graph, found, allowed));
}

/** Says which of the queue's own files adds most memory, and by which imports. */
async function tellHeaviest(weighed: Weighed, results: readonly Imported[]): Promise<string> {
  const { app, modules, firstOwn } = weighed;
  const growth = growthOf(results).slice(firstOwn);
  const most = Math.max(...growth);
  const { file } = modules[firstOwn + growth.indexOf(most)] ?? {};
  const graph = file === undefined ? undefined : await trace(weighed);
  if (file === undefined || !graph) return '';
  const direct = findDirect(graph, [file]).map((found) => ({ found, brought: findBrought(graph, found).length }));
  const chains = direct.toSorted((a, b) => b.brought - a.brought).map(({ found }) => tellChain(weighed, graph, found));
  const lines = [`The import of ${toSource(app.root, file)} adds most: ${toMb(most)} MB.`, ...chains.slice(0, 3)];
  return `${lines.join('\n')}\n`;
}

async function checkMemory(weighed: Weighed, maxRssMb: number): Promise<Problem[]> {
  const { app, queue, title, whose, manifest, modules } = weighed;
  const { rssBytes, runs, results } = await weighFor(maxRssMb, modules, app.root);
  if (!isOver(rssBytes, maxRssMb)) return [];
  const how = runs === 1 ? '' : ` (median of ${runs})`;
  const message =
    `${title} takes ${toMb(rssBytes)} MB${how} with everything imported and no job taken; ${whose} budget is ` +
    `${maxRssMb} MB.\n${await tellHeaviest(weighed, results)}` +
    'Import less, move a task to another queue, or raise `budget.maxRssMb`. `islet footprint` shows all of it.';
  const file = toSource(app.root, join(app.root, manifest));
  return [{ code, queue, file, line: findOption(app.root, file, 'maxRssMb') ?? null, message }];
}

/**
 * Imports a queue's files after the settings and manifests, and compares what that loads, and the memory that it takes,
 * with a budget. The memory of Islet's own code is measured once and added: only near the limit is a whole process
 * weighed. Returns an error when an import fails, so that nothing could be compared.
 */
export async function checkBudget(
  app: App,
  queue: string,
  { title, pool, beside, parts }: QueueProcess,
  toCheck: BudgetToCheck,
) {
  const { budget, manifest } = toCheck;
  // A thread lives in the worker's process.
  const { modules, bareBytes } = pool?.kind === 'process' ? toCheck.unit : toCheck.worker;
  const [islet, ...base] = modules;
  const own = [...beside, ...parts].map(({ module }) => module);
  const whose = pool ? "the queue's" : 'its';
  const watch = budget.packages === undefined ? 'memory' : 'files';
  const { results, seen } = await watchApart([...base, ...own], app.root, watch);
  if (!seen || islet === undefined) return importFailed(results);
  const firstOwn = base.length;
  const weighed = { app, queue, title, whose, manifest, modules: [islet, ...base, ...own], firstOwn: firstOwn + 1 };
  const before = results[firstOwn - 1];
  const ownBytes = seen.rssBytes - (before?.ok ? before.rssBytes : 0);
  const { packages, maxRssMb } = budget;
  const mayBeOver = maxRssMb !== undefined && isOver((await bareBytes()) + ownBytes, maxRssMb * surelyBelow);
  const problems = [
    ...(packages === undefined ? [] : await checkPackages(weighed, seen.files, packages)),
    ...(mayBeOver ? await checkMemory(weighed, maxRssMb) : []),
  ];
  const importMs = results
    .slice(firstOwn + beside.length)
    .reduce((sum, result) => sum + (result.ok ? result.ms : 0), 0);
  return { importMs, problems };
}
