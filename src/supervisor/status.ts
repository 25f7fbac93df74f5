/** One worker process, as its parent knows it. */
export interface WorkerStatus {
  readonly pid: number;
  readonly state: 'starting' | 'ready' | 'leaving';
  readonly ageMs: number;
  readonly jobs: number;
  readonly rssMb: number;
  readonly running: number;
}

export interface SupervisorStatus {
  readonly parent: { readonly pid: number; readonly ageMs: number; readonly rssMb: number };
  readonly workers: readonly WorkerStatus[];
}

const units: [ms: number, name: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
];

/** The two greatest units: `2h 13m`. */
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
export function showStatus({ parent, workers }: SupervisorStatus): string {
  const rows = [
    ['PID', 'STATE', 'AGE', 'JOBS', 'IN FLIGHT', 'RSS'],
    ...workers.map(({ pid, state, ageMs, jobs, running, rssMb }) => [
      pid,
      state,
      showAge(ageMs),
      jobs,
      running,
      `${rssMb} MB`,
    ]),
    [parent.pid, 'parent', showAge(parent.ageMs), '', '', `${parent.rssMb} MB`],
  ].map((row) => row.map(String));
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
