export interface Report {
  readonly jobs: number;
  readonly completed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly pagesPerSecond: number;
  readonly peakInFlight: number;
  /** null when the worker was killed before it could say. */
  readonly peakRssMb: number | null;
}

/** Renders the report as the table that ends the demo, and under it a few of the scraped titles. */
export function renderReport(report: Report, titles: readonly string[]): string {
  const rows: [string, string][] = [
    ['jobs', String(report.jobs)],
    ['completed', String(report.completed)],
    ['failed', String(report.failed)],
    ['seconds', report.seconds.toFixed(2)],
    ['pages per second', report.pagesPerSecond.toFixed(1)],
    ['peak in flight, as the site counted', String(report.peakInFlight)],
    ['peak RSS of the worker', report.peakRssMb === null ? 'unknown' : `${report.peakRssMb} MB`],
  ];
  const labelWidth = Math.max(...rows.map(([label]) => label.length));
  const valueWidth = Math.max(...rows.map(([, value]) => value.length));
  const table = rows.map(([label, value]) => `  ${label.padEnd(labelWidth)}  ${value.padStart(valueWidth)}`);
  return ['', ...table, '', 'First titles:', ...titles.map((title) => `  ${title}`)].join('\n');
}
