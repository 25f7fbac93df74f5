import { expect, test } from 'vitest';
import { marksOf, promises } from '../../../../lab/chaos/marks.ts';
import { faultKinds } from '../../../../lab/chaos/schedule.ts';
import { type Figures, judge } from '../../../../lab/chaos/verdict.ts';

const empty = judge({
  jobs: [],
  runs: [],
  failed: new Map(),
  held: new Set(),
  incidents: [],
  shutdowns: [],
  named: new Set(),
});
const sound: Figures = {
  ...empty,
  crashToRerunMs: { count: 1, median: 1_500, max: 9_000 },
  runMoreThanOnce: {},
  faults: Object.fromEntries(faultKinds.map((kind) => [kind, 1])),
};

const broken = (only: Parameters<typeof marksOf>[0], change: Partial<Figures>) =>
  [...promises({ ...sound, ...change }), ...marksOf(only, { ...sound, ...change })].filter(({ holds }) => !holds);

test.each([
  [undefined, { lost: 1 }, 'lost is 0'],
  ['freeze', { atMostOnceDoubled: 1 }, 'atMostOnceDoubled is 0'],
  ['restarts', { restartsDoubled: 1 }, 'no job that fits the grace starts twice'],
  ['restarts', { runMoreThanOnce: { restarts: 1 } }, 'every second start is ledgered as a release'],
  ['restarts', { releasesCounted: 1 }, 'no release uses an attempt'],
  ['blocks', { runMoreThanOnce: { blocks: 1 } }, 'nothing is run twice'],
  ['blocks', { blocksUnnamed: 1 }, 'each block names its task in the log'],
  ['sigkill', { neverRerun: 1 }, 'every interrupted at-least-once job runs again'],
  ['sigkill', { crashToRerunMs: empty.crashToRerunMs }, 'the median crash-to-rerun is at most 3 s'],
  ['sigkill', { crashToRerunMs: { count: 1, median: 3_001, max: 3_001 } }, 'the median crash-to-rerun is at most 3 s'],
  ['worker-kill', { neverRerun: 1 }, 'every interrupted at-least-once job runs again'],
  ['worker-kill', { poisonedInnocents: 1 }, 'no innocent job fails as poisoned'],
  [
    'worker-kill',
    { crashToRerunMs: { count: 1, median: 1_501, max: 1_501 } },
    'the median crash-to-rerun is at most 1.5 s',
  ],
  ['recycling', { runMoreThanOnce: { recycling: 1 } }, 'nothing is run twice'],
  ['recycling', { restartsDoubled: 1 }, 'no job that fits the grace starts twice'],
  ['hostile', { faults: { hostile: 1 } }, 'workers were killed beside them'],
  ['hostile', { goodHarmed: 1 }, 'no good job fails because of others'],
  ['freeze', { faults: {} }, 'freeze happened'],
  ['drops', { finishedInOutageRunAgain: 1 }, 'no job that finishes during an outage is run again'],
] as const)('with %s alone, %j breaks a mark', (only, change, what) => {
  expect(broken(only, {})).toEqual([]);
  expect(broken(only, change)).toEqual([{ what, holds: false }]);
});
