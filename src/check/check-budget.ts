import { join } from 'node:path';
import type { Budget } from '../manifest/define-queue.ts';
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
import { findImport, findOption, toSource } from './place.ts';
import type { Problem } from './problem.ts';
import { listBase, type Part } from './queue-parts.ts';
import { looksSuspicious } from './suspect-packages.ts';
import { growthOf, isOver, toMb, weighFor } from './weigh.ts';

/** A queue's budget, and what is needed to check it. */
export interface BudgetToCheck {
  budget: Budget;
  /** The file of Islet's own that a worker process imports. */
  islet: string;
  /** The queue's manifest, from the app's folder. */
  manifest: string;
}

interface Weighed {
  app: App;
  queue: string;
  manifest: string;
  modules: ModuleToImport[];
  /** What came of the modules. */
  results: Imported[];
  /** The first of the modules that is the queue's own. */
  firstOwn: number;
}

const code = 'E_BUDGET_EXCEEDED';
const andMore = (brought: string[]) => (brought.length === 0 ? '' : ` (it brings ${brought.length} more)`);

/** Imports the modules once more, and listens who imports whom. */
async function trace({ app, modules }: Weighed): Promise<ImportGraph | undefined> {
  const { seen } = await watchApart(modules, app.root, 'imports');
  return seen && createGraph(seen.imports, createOwners(app.root));
}

function tellChain({ app }: Weighed, graph: ImportGraph, found: Found): string {
  const chain = showChain(graph, found.chain, (file) => toSource(app.root, file));
  return `${chain.join(' -> ')}${andMore(findBrought(graph, found))}`;
}

function tellPackage(weighed: Weighed, graph: ImportGraph, found: Found, allowed: readonly string[]): Problem {
  const { app, queue, manifest } = weighed;
  const file = toSource(app.root, found.chain.at(-2) ?? manifest);
  const names = allowed.length === 0 ? 'none' : allowed.join(', ');
  const message =
    `Queue "${queue}" loads the package "${found.name}", which its budget does not allow (it allows: ${names}).\n` +
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

/** Says which of the queue's own files adds most, and by which imports. */
async function tellHeaviest(weighed: Weighed): Promise<string> {
  const { app, modules, results, firstOwn } = weighed;
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

async function checkMemory(weighed: Weighed, first: number, maxRssMb: number): Promise<Problem[]> {
  const { app, queue, manifest, modules } = weighed;
  const { rssBytes, runs } = await weighFor(maxRssMb, first, modules, app.root);
  if (!isOver(rssBytes, maxRssMb)) return [];
  const how = runs === 1 ? '' : ` (median of ${runs})`;
  const message =
    `Queue "${queue}" takes ${toMb(rssBytes)} MB${how} with everything imported and no job taken; its budget is ` +
    `${maxRssMb} MB.\n${await tellHeaviest(weighed)}` +
    'Import less, move a task to another queue, or raise `budget.maxRssMb`. `islet footprint` shows all of it.';
  const file = toSource(app.root, join(app.root, manifest));
  return [{ code, queue, file, line: findOption(app.root, file, 'maxRssMb') ?? null, message }];
}

/**
 * Imports a queue's files as a worker does, and compares what that loads and takes with a budget. Returns nothing where
 * an import fails: that has to be mended, and told of, first.
 */
export async function checkBudget(app: App, queue: string, parts: Part[], { budget, islet, manifest }: BudgetToCheck) {
  const base = listBase(app, islet);
  const modules = [...base, ...parts.map(({ module }) => module)];
  const { packages, maxRssMb } = budget;
  const { results, seen } = await watchApart(modules, app.root, packages === undefined ? 'memory' : 'files');
  if (!seen) return undefined;
  const weighed = { app, queue, manifest, modules, results, firstOwn: base.length };
  const problems = [
    ...(packages === undefined ? [] : await checkPackages(weighed, seen.files, packages)),
    ...(maxRssMb === undefined ? [] : await checkMemory(weighed, seen.rssBytes, maxRssMb)),
  ];
  const own = results.slice(base.length);
  return { importMs: own.reduce((sum, result) => sum + (result.ok ? result.ms : 0), 0), problems };
}
