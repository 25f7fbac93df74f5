import type { Supervisor } from '../supervisor/supervisor.ts';
import { toTable } from './to-table.ts';

const units: [ms: number, name: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
];

/** Shows the two greatest units of an age, such as `2h 13m`. */
function showAge(ms: number): string {
  const from = units.findIndex(([unitMs]) => ms >= unitMs);
  if (from === -1) return '0s';
  let rest = ms;
  const parts = units.slice(from, from + 2).map(([unitMs, name]) => {
    const amount = Math.floor(rest / unitMs);
    rest -= amount * unitMs;
    return `${amount}${name}`;
  });
  return parts.filter((part, index) => index === 0 || !part.startsWith('0')).join(' ');
}

/** Shows a status as a table for people, one line for each process. */
export function showStatus({ parent, workers }: Supervisor['status']): string {
  const rows = workers.map(({ pid, state, ageMs, jobs, running, rssMb }) => {
    return [pid, state, showAge(ageMs), jobs, running, `${rssMb} MB`].map(String);
  });
  const own = [String(parent.pid), 'parent', showAge(parent.ageMs), '', '', `${parent.rssMb} MB`];
  return toTable([['PID', 'STATE', 'AGE', 'JOBS', 'IN FLIGHT', 'RSS'], ...rows, own]).join('\n');
}
