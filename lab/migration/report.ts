import { renderTable } from '../kit/table.ts';
import type { Figures } from './verdict.ts';

const shownExamples = 5;

/** Renders what each phase did, and under it what became of the jobs. */
export function renderReport({ phases, ...figures }: Figures): string {
  const head = ['phase', 'sent', 'run by BullMQ 5', 'by BullMQ 6', 'by Islet'];
  const rows = phases.map(({ name, sent, ran }) => {
    return [name, ...[sent, ran.bullmq5, ran.bullmq6, ran.islet].map((count) => count.toLocaleString('en'))];
  });
  const wrongs = (['lost', 'doubled', 'stuck', 'otherwise'] as const).map((name) => [name, figures[name]] as const);
  const counts = wrongs.map(([name, ids]) => `${name} ${ids.length}`).join(', ');
  const examples = wrongs.flatMap(([name, ids]) => {
    return ids.length > 0 ? [`  ${name}: ${ids.slice(0, shownExamples).join(', ')}`] : [];
  });
  const { sent, completed, failed } = figures;
  return [
    '',
    ...renderTable([head, ...rows]),
    '',
    `${sent} jobs: ${completed} completed, ${failed} failed as they had to; ${counts}`,
    ...examples,
  ].join('\n');
}
