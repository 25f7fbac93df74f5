import { type ExtraStart, findExtraStarts, groupByJob } from './blame.ts';
import type { Incident } from './faults.ts';
import type { Shutdown } from './fleet.ts';
import type { Run } from './ledger.ts';
import { exitSlackMs, failingAttempts, graceMs } from './limits.ts';
import { rerunsAfterKill, type Times, times } from './rerun.ts';
import { hostileTasks, type PlannedJob } from './workload.ts';

/** All that a run left behind. */
export interface Evidence {
  /** Every job that Redis accepted. */
  readonly jobs: readonly PlannedJob[];
  /** All starts of user code, in their order. */
  readonly runs: readonly Run[];
  /** Redis' failed jobs and their reasons. */
  readonly failed: ReadonlyMap<string, string>;
  /** The jobs that Redis still holds in any other state. */
  readonly held: ReadonlySet<string>;
  readonly incidents: readonly Incident[];
  readonly shutdowns: readonly Shutdown[];
  /** The jobs that a worker's log names in a line other than that of their outcome. */
  readonly named: ReadonlySet<string>;
}

export interface Figures {
  readonly enqueued: number;
  readonly completed: number;
  readonly failed: number;
  readonly failedByCode: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly stuck: number;
  readonly atMostOnceDoubled: number;
  /** Extra starts by the fault that hit the process of the start before. */
  readonly runMoreThanOnce: Readonly<Record<string, number>>;
  readonly crashToRerunMs: Times;
  /** Jobs of at-least-once tasks that a SIGKILL interrupted and that never started again. */
  readonly neverRerun: number;
  readonly shutdowns: number;
  readonly shutdownsOverDeadline: number;
  readonly poisonedInnocents: number;
  /** Jobs of good tasks that failed, although neither they themselves nor a kill explain that. */
  readonly goodHarmed: number;
  readonly releasesLedgered: number;
  /** Releases whose next start had a higher attempt. */
  readonly releasesCounted: number;
  /** Jobs that fit the grace and started twice because of a restart. */
  readonly restartsDoubled: number;
  readonly finishedInOutageRunAgain: number;
  readonly blocksUnnamed: number;
  /** How often each fault hit a process or Redis. */
  readonly faults: Readonly<Record<string, number>>;
  /** A few job ids behind each figure that should be 0. */
  readonly examples: Readonly<Record<string, readonly string[]>>;
}

const good = new Set(['fast', 'slow', 'failing', 'once']);
const killsItsProcess = new Set(['stray', 'blocking']);
const shownExamples = 5;

/** Judges a run: derives the figures from what the ledger, Redis and the harness saw. */
export function judge(evidence: Evidence): Figures {
  const { jobs, runs, failed, shutdowns } = evidence;
  const incidents = [...evidence.incidents, ...blocks(evidence), ...hostilities(evidence)];
  const byJob = groupByJob(runs);
  const extras = findExtraStarts(byJob, incidents);
  const { waits, never } = rerunsAfterKill(incidents, byJob);
  const released = extras.filter(({ fault }) => fault === 'release');
  const wrongs = {
    ...findWrongs(evidence, byJob),
    neverRerun: never,
    restartsDoubled: doubledByRestart(jobs, extras),
    finishedInOutageRunAgain: finishedInOutage(incidents, extras),
    unexplained: extras.filter(({ fault }) => fault === 'unexplained').map(({ run }) => run.jobId),
  };
  return {
    enqueued: jobs.length,
    completed: jobs.length - failed.size - wrongs.lost.length - wrongs.stuck.length,
    failed: failed.size,
    failedByCode: countBy([...failed.values()].map(codeOf)),
    lost: wrongs.lost.length,
    stuck: wrongs.stuck.length,
    atMostOnceDoubled: wrongs.atMostOnceDoubled.length,
    runMoreThanOnce: countBy(extras.map(({ fault }) => fault)),
    crashToRerunMs: times(waits),
    neverRerun: never.length,
    shutdowns: shutdowns.length,
    shutdownsOverDeadline: wrongs.shutdownsOverDeadline.length,
    poisonedInnocents: wrongs.poisonedInnocents.length,
    goodHarmed: wrongs.goodHarmed.length,
    releasesLedgered: released.length,
    releasesCounted: released.filter(({ before, run }) => run.attempt > before.attempt).length,
    restartsDoubled: wrongs.restartsDoubled.length,
    finishedInOutageRunAgain: wrongs.finishedInOutageRunAgain.length,
    blocksUnnamed: wrongs.blocksUnnamed.length,
    faults: countBy(incidents.map(({ kind }) => kind)),
    examples: firstOf(wrongs),
  };
}

/** Finds what should not be, by the name of its figure: ids of jobs, or what else names it. */
function findWrongs({ jobs, runs, failed, held, shutdowns, named }: Evidence, byJob: ReadonlyMap<string, Run[]>) {
  const planned = new Map(jobs.map((job) => [job.id, job.task]));
  const ended = new Set(runs.filter(({ endedAt }) => endedAt !== undefined).map(({ jobId }) => jobId));
  const late = shutdowns.filter(({ tookMs }) => tookMs > graceMs + exitSlackMs);
  return {
    lost: ids(jobs).filter((id) => !failed.has(id) && !held.has(id) && !ended.has(id)),
    stuck: ids(jobs).filter((id) => held.has(id)),
    atMostOnceDoubled: ids(jobs).filter((id) => planned.get(id) === 'once' && (byJob.get(id)?.length ?? 0) > 1),
    poisonedInnocents: [...failed]
      .filter(([id, reason]) => codeOf(reason) === 'E_POISONED' && !killsItsProcess.has(planned.get(id) ?? ''))
      .map(([id]) => id),
    goodHarmed: jobs
      .filter((job) => good.has(job.task) && failed.has(job.id) && !mayFail(job, codeOf(failed.get(job.id) ?? '')))
      .map(({ id }) => id),
    blocksUnnamed: runs.filter(({ task, jobId }) => task === 'blocking' && !named.has(jobId)).map(({ jobId }) => jobId),
    shutdownsOverDeadline: late.map(({ pid, tookMs }) => `worker ${pid} after ${tookMs} ms`),
  };
}

/** Says whether a good job may fail like this: by what it is to do, or, if it must not start again, by a kill. */
function mayFail({ task, payload }: PlannedJob, code: string): boolean {
  if (task === 'failing') return payload.failures >= failingAttempts && code === 'E_TASK_FAILED';
  return task === 'once' && code === 'E_JOB_INTERRUPTED';
}

/** Finds the jobs that fit the grace and started twice because of a restart. */
function doubledByRestart(jobs: readonly PlannedJob[], extras: readonly ExtraStart[]): string[] {
  const fitting = new Set(ids(jobs.filter(({ payload }) => payload.ms < graceMs)));
  const restarted = extras.filter(({ fault }) => fault === 'release' || fault === 'restarts');
  return [...new Set(restarted.map(({ run }) => run.jobId))].filter((id) => fitting.has(id));
}

function finishedInOutage(incidents: readonly Incident[], extras: readonly ExtraStart[]): string[] {
  const outages = incidents.filter(({ pid }) => pid === undefined);
  const inOutage = (at: number) => outages.some(({ from, to }) => from <= at && at <= to);
  return extras.filter(({ before }) => inOutage(before.endedAt ?? 0)).map(({ run }) => run.jobId);
}

/** Finds the blocks of the event loop, as the ledger saw them. */
function blocks({ runs, jobs }: Evidence): Incident[] {
  const lengths = new Map(jobs.map(({ id, payload }) => [id, payload.ms]));
  return runs
    .filter(({ task }) => task === 'blocking')
    .map(({ jobId, pid, startedAt, endedAt }) => {
      return { kind: 'blocks', pid, from: startedAt, to: endedAt ?? startedAt + (lengths.get(jobId) ?? 0) };
    });
}

/** Finds the runs of hostile jobs, as the ledger saw them. */
function hostilities({ runs }: Evidence): Incident[] {
  return runs
    .filter(({ task }) => hostileTasks.some((name) => name === task))
    .map(({ pid, startedAt, endedAt = startedAt }) => ({ kind: 'hostile', pid, from: startedAt, to: endedAt }));
}

const ids = (jobs: readonly PlannedJob[]) => jobs.map(({ id }) => id);

/** Returns the code of a failure. Islet's reasons start with it, BullMQ's own do not. */
const codeOf = (reason: string) => /^E_[A-Z_]+(?=:|$)/.exec(reason)?.[0] ?? reason.slice(0, 60);

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function firstOf(lists: Record<string, readonly string[]>): Record<string, readonly string[]> {
  const found = Object.entries(lists).filter(([, list]) => list.length > 0);
  return Object.fromEntries(found.map(([name, list]) => [name, list.slice(0, shownExamples)]));
}
