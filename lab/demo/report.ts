import { renderTable } from '../kit/table.ts';

export interface Report {
  readonly jobs: number;
  readonly completed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly pagesPerSecond: number;
  readonly peakInFlight: number;
  /** Is null when the worker was killed before it could say. */
  readonly peakRssMb: number | null;
}

/** Renders the report as the table that ends the demo, and under it a few of the scraped titles. */
export function renderReport(report: Report, titles: readonly string[]): string {
  const table = renderTable([
    ['jobs', String(report.jobs)],
    ['completed', String(report.completed)],
    ['failed', String(report.failed)],
    ['seconds', report.seconds.toFixed(2)],
    ['pages per second', report.pagesPerSecond.toFixed(1)],
    ['peak in flight, as the site counted', String(report.peakInFlight)],
    ['peak RSS of the worker', report.peakRssMb === null ? 'unknown' : `${report.peakRssMb} MB`],
  ]);
  return ['', ...table, '', 'First titles:', ...titles.map((title) => `  ${title}`)].join('\n');
}
