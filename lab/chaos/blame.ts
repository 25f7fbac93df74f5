import type { Incident } from './faults.ts';
import type { Run } from './ledger.ts';

/** A start of a job that no ended attempt before it explains. */
export interface ExtraStart {
  readonly before: Run;
  readonly run: Run;
  /** What hit the process of the start before: a kind of fault, "crash", "release", or "unexplained". */
  readonly fault: string;
}

/** Where several faults hit the same start, the first of this list, the surest cause, is blamed. */
const order = [
  'release',
  'sigkill',
  'worker-kill',
  'crash',
  'restarts',
  'recycling',
  'freeze',
  'blocks',
  'redis-kill',
  'redis-freeze',
  'redis-full',
  'drops',
];

/** Aborts that end a run without ending its attempt. */
const notFailures = new Set(['E_JOB_RELEASED', 'E_LOCK_LOST']);

export function groupByJob(runs: readonly Run[]): Map<string, Run[]> {
  const jobs = new Map<string, Run[]>();
  for (const run of runs) {
    const others = jobs.get(run.jobId);
    if (others) others.push(run);
    else jobs.set(run.jobId, [run]);
  }
  return jobs;
}

/** Finds the extra starts, and for each the fault that brought it about. */
export function findExtraStarts(jobs: ReadonlyMap<string, readonly Run[]>, incidents: readonly Incident[]) {
  return [...jobs.values()].flatMap((runs) =>
    runs.flatMap((run, at): ExtraStart[] => {
      const before = runs[at - 1];
      if (before === undefined || isRetry(before, run)) return [];
      return [{ before, run, fault: blame(before, run, incidents) }];
    }),
  );
}

function isRetry(before: Run, run: Run): boolean {
  const aborted = before.abortedBy !== undefined && !notFailures.has(before.abortedBy);
  return run.attempt > before.attempt && (before.failedAt !== undefined || aborted);
}

/** Faults after which a process goes on, and may start what it had fetched before. */
const standstills = new Set(['freeze', 'blocks']);
/** How long after a fault a worker learns of a lock that it lost in it. */
const aftermathMs = 1_000;

function blame(before: Run, run: Run, incidents: readonly Incident[]): string {
  const hits = incidents
    .filter(({ kind, pid = before.pid }) => pid === before.pid || (pid === run.pid && standstills.has(kind)))
    .filter(({ from, to }) => from <= run.startedAt && to + aftermathMs >= before.startedAt)
    .map(({ kind }) => kind);
  if (before.abortedBy === 'E_JOB_RELEASED') hits.push('release');
  return order.find((kind) => hits.includes(kind)) ?? 'unexplained';
}
