import type { FaultKind } from './schedule.ts';
import type { Figures } from './verdict.ts';

/** Something that has to hold. */
export interface Mark {
  readonly what: string;
  readonly holds: boolean;
}

const rerunLimitMs = 3_000;
const supervisedRerunLimitMs = 1_500;
const doubled = (figures: Figures) => Object.values(figures.runMoreThanOnce).reduce((sum, count) => sum + count, 0);

/** Judges what has to hold whatever the faults are. */
export function promises(figures: Figures): Mark[] {
  return (['lost', 'stuck', 'atMostOnceDoubled', 'shutdownsOverDeadline'] as const).map((name) => ({
    what: `${name} is 0`,
    holds: figures[name] === 0,
  }));
}

/** Judges what has to hold besides, when one kind of fault runs alone. */
export function marksOf(only: FaultKind | undefined, figures: Figures): Mark[] {
  if (only === undefined) return [];
  // In a run that was too short for its fault, everything else would hold.
  return [{ what: `${only} happened`, holds: (figures.faults[only] ?? 0) > 0 }, ...marksOfFault(only, figures)];
}

function marksOfFault(only: FaultKind, figures: Figures): Mark[] {
  const { crashToRerunMs, runMoreThanOnce } = figures;
  switch (only) {
    case 'restarts':
      return [
        { what: 'no job that fits the grace starts twice', holds: figures.restartsDoubled === 0 },
        {
          what: 'every second start is ledgered as a release',
          holds: doubled(figures) === (runMoreThanOnce.release ?? 0),
        },
        { what: 'no release uses an attempt', holds: figures.releasesCounted === 0 },
      ];
    case 'blocks':
      return [
        { what: 'nothing is run twice', holds: doubled(figures) === 0 },
        { what: 'each block names its task in the log', holds: figures.blocksUnnamed === 0 },
      ];
    case 'sigkill':
      return [
        { what: 'every interrupted at-least-once job runs again', holds: figures.neverRerun === 0 },
        {
          what: `the median crash-to-rerun is at most ${rerunLimitMs / 1_000} s`,
          holds: (crashToRerunMs.median ?? Number.POSITIVE_INFINITY) <= rerunLimitMs,
        },
      ];
    case 'worker-kill':
      return [
        { what: 'every interrupted at-least-once job runs again', holds: figures.neverRerun === 0 },
        {
          what: `the median crash-to-rerun is at most ${supervisedRerunLimitMs / 1_000} s`,
          holds: (crashToRerunMs.median ?? Number.POSITIVE_INFINITY) <= supervisedRerunLimitMs,
        },
        { what: 'no innocent job fails as poisoned', holds: figures.poisonedInnocents === 0 },
      ];
    case 'recycling':
      return [
        { what: 'nothing is run twice', holds: doubled(figures) === (runMoreThanOnce.release ?? 0) },
        { what: 'no job that fits the grace starts twice', holds: figures.restartsDoubled === 0 },
      ];
    case 'redis-kill':
    case 'redis-freeze':
    case 'redis-full':
    case 'drops':
      return [
        { what: 'no job that finishes during an outage is run again', holds: figures.finishedInOutageRunAgain === 0 },
      ];
    case 'hostile':
      return [
        { what: 'workers were killed beside them', holds: (figures.faults.sigkill ?? 0) > 0 },
        { what: 'no good job fails because of others', holds: figures.goodHarmed === 0 },
      ];
    case 'freeze':
    case 'parent-kill':
      return [];
  }
}
