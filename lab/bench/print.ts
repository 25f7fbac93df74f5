import { renderTable } from '../kit/table.ts';
import type { CaseResult, Results } from './results.ts';
import type { Figure } from './stats.ts';

/** Shows a number for people: at least three digits, and commas between thousands. */
export function showNumber(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Shows the median, and how far the samples were from it. */
export function showFigure({ median, min, max, samples }: Figure): string {
  if (samples.length === 1) return showNumber(median);
  return `${showNumber(median)} (${showNumber(min)}–${showNumber(max)})`;
}

/** Returns a table's rows: the names, and each metric with its ratio to the base. */
export function rowsOf({ base, metrics, entries }: CaseResult, withSpread: boolean): string[][] {
  const bases = entries.find(({ key }) => key === base)?.figures ?? {};
  const keys = Object.keys(metrics);
  const header = keys.flatMap((key) => [[metrics[key]?.label, metrics[key]?.unit].filter(Boolean).join(', '), '×']);
  const rows = entries.map(({ name, figures }) => [
    name,
    ...keys.flatMap((key) => {
      const figure = figures[key];
      if (figure === undefined) return ['–', ''];
      const own = bases[key]?.median;
      return [withSpread ? showFigure(figure) : showNumber(figure.median), own ? showNumber(figure.median / own) : ''];
    }),
  ]);
  return [['', ...header], ...rows];
}

/** Renders one case as text. */
export function renderCase(result: CaseResult): string {
  const lines = renderTable(rowsOf(result, true));
  const base = result.entries.find(({ key }) => key === result.base)?.name;
  return [`${result.title}: ${result.about}${base ? `; × is against ${base}` : ''}`, ...lines, ''].join('\n');
}

/** Renders how the run's figures stand against what they must be, and what could not be measured. */
export function renderEnd({ marks, skipped, failures, machine, quick, rounds, minutes }: Results): string {
  const measured = marks.filter(({ verdict }) => verdict !== 'not measured');
  const cells = measured.map(({ what, figure, mark, verdict }) => [
    what,
    figure === undefined ? '–' : showNumber(figure),
    mark,
    verdict,
  ]);
  const note = quick ? 'A quick run: few rounds, small jobs, few contenders; it shows large changes only. ' : '';
  return [
    'What it must show:',
    ...renderTable([['', 'figure', 'mark', ''], ...cells]),
    ...(measured.length < marks.length
      ? [`  ${marks.length - measured.length} more were not measured in this run.`]
      : []),
    '',
    ...skipped.map(({ name, reason }) => `Skipped: ${name}: ${reason}`),
    ...failures.map((failure) => `FAILED: ${failure}`),
    `${note}Medians of ${rounds} rounds in ${minutes.toFixed(1)} minutes. ` +
      `Load of the machine per minute: ${machine.loadBefore} before, ${machine.loadAfter} after, on ${machine.cores} cores.`,
  ].join('\n');
}
