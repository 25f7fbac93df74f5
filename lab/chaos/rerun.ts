import type { Incident } from './faults.ts';
import type { Run } from './ledger.ts';

export interface Times {
  readonly count: number;
  readonly median: number | null;
  readonly max: number | null;
}

/** Measures from each SIGKILL to the next start of every job that it interrupted, at-most-once jobs apart. */
export function rerunsAfterKill(incidents: readonly Incident[], jobs: ReadonlyMap<string, readonly Run[]>) {
  const waits: number[] = [];
  const never: string[] = [];
  for (const { pid, from } of incidents.filter(({ kind }) => kind === 'sigkill' || kind === 'worker-kill')) {
    for (const [jobId, runs] of jobs) {
      const interrupted = runs.some((run) => run.pid === pid && isOpen(run) && run.task !== 'once');
      if (!interrupted) continue;
      const next = runs.find((run) => run.pid !== pid && run.startedAt >= from);
      if (next) waits.push(next.startedAt - from);
      else never.push(jobId);
    }
  }
  return { waits, never };
}

export function times(values: readonly number[]): Times {
  const sorted = values.toSorted((a, b) => a - b);
  return { count: sorted.length, median: sorted[Math.floor(sorted.length / 2)] ?? null, max: sorted.at(-1) ?? null };
}

const isOpen = ({ endedAt, failedAt, abortedBy }: Run) => (endedAt ?? failedAt ?? abortedBy) === undefined;
