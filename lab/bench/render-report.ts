import { padCells } from '../kit/table.ts';
import { rowsOf, showNumber } from './print.ts';
import type { CaseResult, Results } from './results.ts';

const start = '<!-- bench: written by npm run bench:report -->';
const end = '<!-- /bench -->';

/** The contenders that stand in the README, and their metrics of the load; docs/benchmarks.md has all of them. */
const shortEntries = ['islet-lean', 'islet-throughput', 'bullmq', 'bullmq-log', 'graphile-worker', 'celery-gevent'];
const shortMetrics = ['idleRssMb', 'peakRssMb', 'drainSeconds', 'cpuSeconds'];

function toTable(rows: readonly string[][]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const [header = [], ...body] = padCells(rows, { minWidth: 3 });
  const rule = header.map(({ length }, at) => (at === 0 ? '-'.repeat(length) : `${'-'.repeat(length - 1)}:`));
  return [line(header), line(rule), ...body.map(line)].join('\n');
}

function describeRun({ date, commit, quick, rounds, machine, versions }: Results): string {
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const kind = quick ? 'A quick run, which shows large differences only: medians' : 'Medians';
  return (
    `${kind} of ${rounds === 1 ? 'one round' : `${rounds} rounds`}, all side by side, on ${date.slice(0, 10)} at commit ${commit}: ` +
    `${machine.cores} cores of ${machine.cpu}, ${machine.memoryGb} GB, ${machine.system}; the load of the machine was ` +
    `${machine.loadBefore} before and ${machine.loadAfter} after the run. ${used.join(', ')}. On another machine the ratios are similar, and the absolute values are not.`
  );
}

/** Renders the short table of the README, with its markers. */
export function renderShort(results: Results): string {
  const load = results.cases.find(({ name }) => name === 'load');
  const noop = results.cases.find(({ name }) => name === 'noop');
  const entries = (load?.entries ?? []).filter(({ key }) => shortEntries.includes(key));
  const rows = entries.map(({ key, name, figures }) => {
    const ofNoop = noop?.entries.find((one) => one.key === key)?.figures;
    return [name, ...shortMetrics.map((metric) => show(figures[metric]?.median)), show(ofNoop?.jobsPerSecond?.median)];
  });
  const header = ['', ...shortMetrics.map((metric) => labelOf(load, metric)), 'no-op jobs/s'];
  return [
    start,
    '',
    toTable([header, ...rows]),
    '',
    `The load is ${load?.about ?? ''}. The figures are medians of one machine.`,
    '[Benchmarks](docs/benchmarks.md) has all contenders and cases, and which marks are missed; `npm run bench` repeats them.',
    end,
  ].join('\n');
}

const show = (value: number | undefined) => (value === undefined ? '–' : showNumber(value));

function labelOf(result: CaseResult | undefined, metric: string): string {
  const { label = metric, unit = '' } = result?.metrics[metric] ?? {};
  return unit === '' ? label : `${label}, ${unit}`;
}

/** Puts the short table in the place of the one before. Throws when the text has no place for it. */
export function replaceShort(text: string, results: Results): string {
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from === -1 || to < from)
    throw new Error(`README.md has no "${start}" with an "${end}" after it. Put them back.`);
  return text.slice(0, from) + renderShort(results) + text.slice(to + end.length);
}

const howToRead = [
  '## How to read the figures',
  '',
  'Anonymous memory is what a process has for itself. Two thirds of the RSS of a worker are the program text of Node, which all',
  'processes of a host share. PSS counts each shared page in parts, one for each process that has it.',
  '',
  'Each Islet worker runs with the guard on and writes one log line per job. Redis limits how many no-op jobs a second a worker',
  'runs: its scripts take 47 µs for a job of Islet, which is removed when it is done and whose id stands for it for a while, and',
  '35 µs for a job of bare BullMQ, which is kept.',
];

/** Renders the whole document. */
export function renderDocument(results: Results): string {
  const { cases, marks, skipped, failures } = results;
  const markRows = marks.map(({ what, figure, mark, verdict }) => [what, show(figure), mark, verdict]);
  return [
    '# Benchmarks',
    '',
    '`npm run bench` measures Islet beside other systems. It runs every case in one run, each round in another order, and each',
    'worker on an empty Redis (or database) of its own. `--quick` ends within three minutes, `--only <cases>` and',
    '`--contenders <keys>` choose, and `--json` prints JSON. `npm run bench:report` writes this page from `lab/bench/results.json`.',
    '',
    describeRun(results),
    '',
    '![RAM of one worker, idle and at its peak](benchmarks.svg)',
    '',
    ...howToRead,
    '',
    '## What it must show',
    '',
    toTable([['', 'figure', 'mark', ''], ...markRows]),
    '',
    ...(skipped.length === 0 && failures.length === 0 ? [] : [...notMeasured(results), '']),
    ...cases.flatMap((one) => [`## ${one.title}`, '', `${describeCase(one)}.`, '', toTable(rowsOf(one, true)), '']),
  ].join('\n');
}

function describeCase({ about, base, entries }: CaseResult): string {
  const name = entries.find(({ key }) => key === base)?.name;
  const text = `${about.charAt(0).toUpperCase()}${about.slice(1)}`;
  return name === undefined ? text : `${text}; × is the ratio to ${name}`;
}

function notMeasured({ skipped, failures }: Results): string[] {
  return [
    'Not measured:',
    '',
    ...skipped.map(({ name, reason }) => `- ${name}: ${reason.split('\n')[0]}`),
    ...failures.map((failure) => `- failed: ${failure.split('\n')[0]}`),
  ];
}
