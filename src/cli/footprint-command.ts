import { Command } from 'commander';
import type { FootprintReport, QueueFootprint, Weight } from '../tools/check/footprint.ts';
import type { LoadedPackage } from '../tools/check/loaded-packages.ts';
import { measuredModules } from './measured-modules.ts';
import { toTable } from './to-table.ts';

interface FootprintFlags {
  queue?: string;
  json?: boolean;
}

const say = (line = '') => process.stdout.write(`${line}\n`);

const inMb = (number: number) => `${number.toFixed(1)} MB`;
const signed = (number: number) => (number > 0 ? '+' : '') + number.toFixed(1);
const inKb = (bytes: number) => `${Math.ceil(bytes / 1_024)} KB`;

type Row = Omit<Weight, 'packages'> & { packages: unknown[] };

function toRow(name: string, { rssMb, importMs, files, packages }: Row, budget: string, others: string): string[] {
  return [name, inMb(rssMb), budget, `${importMs} ms`, String(files), String(packages.length), others];
}

/** A thread is weighed together with its process. */
const withA = { thread: 'with a thread', process: 'a process' };

function printTable({ islet, queues, allQueues }: FootprintReport): void {
  const rows = queues.flatMap((queue) => {
    const { maxRssMb } = queue.budget;
    const budget = maxRssMb === null ? '-' : `${maxRssMb} MB${queue.rssMb > maxRssMb ? ' (over)' : ''}`;
    const { rssMb, packages } = queue.othersAdd;
    const others = `${signed(rssMb)} MB, ${packages.length} package${packages.length === 1 ? '' : 's'}`;
    const pools = queue.pools.map((pool) => toRow(`  ${pool.task} (${withA[pool.kind]})`, pool, '', ''));
    return [toRow(queue.queue, queue, budget, others), ...pools];
  });
  const head = ['', 'RSS idle', 'budget', 'imports', 'files', 'packages', 'the other queues would add'];
  const bare = toRow('(Islet alone)', islet, '', '');
  const world = toRow('(all in one process)', allQueues, '', '');
  for (const line of toTable([head, bare, ...rows, world])) say(line);
}

const isManifest = (file: string) => /\bmanifest\.[jt]s$/.test(file);

/** Returns the package of a chain that the app itself imports; the rest of the chain comes with it. */
function toDirect({ by }: LoadedPackage, names: ReadonlySet<string>): string {
  return by[0]?.chain.find((each) => names.has(each)) ?? '';
}

function printPackages({ queue, parts, packages }: QueueFootprint, every: boolean): void {
  say(`\n${queue}`);
  for (const { file, importMs, rssMb } of parts) say(`  ${file}: ${importMs} ms, +${inMb(rssMb)}`);
  const names = new Set(packages.map(({ name }) => name));
  const own = packages.filter(({ islet }) => !islet);
  const direct = own.filter((each) => toDirect(each, names) === each.name);
  for (const each of direct) {
    const brought = own.filter((other) => other !== each && toDirect(other, names) === each.name);
    const bytes = [each, ...brought].reduce((sum, { bytes }) => sum + bytes, 0);
    const more = brought.length === 0 ? '' : ` and ${brought.length} that it brings`;
    say(`  ${each.name}${more}, ${inKb(bytes)}`);
    const [first, ...others] = each.by.filter(({ from }) => isManifest(from));
    const shown = each.by.filter(({ from }) => !isManifest(from));
    for (const { chain } of first ? [first, ...shown] : shown) say(`    ${chain.join(' -> ')}`);
    if (others.length > 0) say(`    and ${others.length} more manifests: every worker loads them all`);
    if (every)
      for (const { name, bytes, by } of brought) say(`      ${name}, ${inKb(bytes)}: ${by[0]?.chain.join(' -> ')}`);
  }
  const islets = packages.filter(({ islet }) => islet).map(({ name }) => name);
  say(`  Islet's own: ${every ? islets.sort().join(', ') : `${islets.length} packages`}`);
}

const included = `
Measured on Node %s: resident memory of a fresh process after a garbage collection, with everything
imported that a worker imports: Islet, config/, all manifests, and the queue's hooks, dependencies.ts and tasks, also those
with load: 'on-first-job'. Tasks that run in a pool are imported there, with the dependencies, when a job comes: a process
of theirs, or the worker with a thread of theirs, is a row of its own.
Not in it: what dependencies.ts opens when it is called, Redis, the guard thread, jobs.`;

function print(report: FootprintReport, every: boolean): void {
  printTable(report);
  for (const queue of report.queues) printPackages(queue, every);
  say(included.replace('%s', report.node));
}

async function footprint({ queue, json }: FootprintFlags): Promise<void> {
  const { measureApp } = await import('../tools/check/footprint.ts');
  const report = await measureApp(process.cwd(), measuredModules, queue);
  if (json) say(JSON.stringify(report, null, 2));
  else print(report, queue !== undefined);
}

/** The command `islet footprint`. */
export function footprintCommand(): Command {
  return new Command('footprint')
    .description("measure what each queue's worker loads and takes, and say what pulls it in")
    .option('--queue <name>', 'only this queue, with all of its packages')
    .option('--json', 'print JSON')
    .action(footprint);
}
