import { renderTable } from '../kit/table.ts';
import type { Mark } from './marks.ts';
import type { Times } from './rerun.ts';
import type { Figures } from './verdict.ts';

export interface Report extends Figures {
  readonly seed: number;
  readonly seconds: number;
  readonly workers: number;
  /** The crash-to-rerun of a bare BullMQ worker, where it was asked for. */
  readonly bareCrashToRerunMs?: Times;
  readonly marks: readonly Mark[];
}

const ms = ({ count, median, max }: Times) =>
  count === 0 ? 'none interrupted' : `median ${median} ms, max ${max} ms (${count} jobs)`;

const list = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ') || 'none';

/** Renders the table that ends a run, and under it what has to hold. */
export function renderReport(report: Report): string {
  const rows = [
    ['faults', list(report.faults)],
    ['enqueued', String(report.enqueued)],
    ['completed', String(report.completed)],
    ['failed', `${report.failed} (${list(report.failedByCode)})`],
    ['lost', String(report.lost)],
    ['stuck', String(report.stuck)],
    ['at-most-once jobs started twice', String(report.atMostOnceDoubled)],
    ['extra starts, by fault', list(report.runMoreThanOnce)],
    ['crash to rerun', ms(report.crashToRerunMs)],
    ...(report.bareCrashToRerunMs ? [['crash to rerun, bare BullMQ', ms(report.bareCrashToRerunMs)]] : []),
    ['interrupted and never run again', String(report.neverRerun)],
    ['shutdowns', `${report.shutdowns}, ${report.shutdownsOverDeadline} over their deadline`],
    ['releases that ran again', `${report.releasesLedgered}, ${report.releasesCounted} with an attempt used`],
    ['jobs doubled by a restart that fit the grace', String(report.restartsDoubled)],
    ['finished in an outage and run again', String(report.finishedInOutageRunAgain)],
    ['innocent jobs failed as poisoned', String(report.poisonedInnocents)],
    ['good jobs that others harmed', String(report.goodHarmed)],
    ['blocks that no log line names', String(report.blocksUnnamed)],
  ];
  const table = renderTable(rows, { align: 'left' });
  const marks = report.marks.map(({ what, holds }) => `  ${holds ? 'holds ' : 'BROKEN'}  ${what}`);
  const examples = Object.entries(report.examples).map(([name, found]) => `  ${name}: ${found.join(', ')}`);
  return ['', ...table, '', ...marks, ...(examples.length > 0 ? ['', 'For example:', ...examples] : [])].join('\n');
}
