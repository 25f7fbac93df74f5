import { describe, expect, test } from 'vitest';
import type { Note, Verb } from '../../../../lab/migration/ledger.ts';
import { attempts, jobOf } from '../../../../lab/migration/plan.ts';
import { isSound } from '../../../../lab/migration/run-migration.ts';
import { type Held, judge } from '../../../../lab/migration/verdict.ts';

const note = (verb: Verb, jobId: string, at = 0): Note => ({ verb, at, jobId, by: 'islet' });
const notes = (jobId: string, ...verbs: Verb[]) => verbs.map((verb) => note(verb, jobId));
const nothing: Held = { failed: new Set(), unfinished: new Set() };
const judged = (all: Note[], held: Held = nothing) => judge(all, held, [{ name: 'only', from: 0 }]);

const failsOnce = Array.from({ length: 20 }, (_, index) => index).find((index) => jobOf('p', index).failures === 1);
const failsForGood = Array.from({ length: 20 }, (_, index) => index).find(
  (index) => jobOf('p', index).failures === attempts,
);

describe('the verdict on a migration', () => {
  test('is sound when each job ran as often as it had to', () => {
    const figures = judged(
      [
        ...notes('p-0', 'sent', 'start', 'end'),
        ...notes(`p-${failsOnce}`, 'sent', 'start', 'fail', 'start', 'end'),
        ...notes(`p-${failsForGood}`, 'sent', 'start', 'fail', 'start', 'fail', 'start', 'fail'),
        ...notes('p-13-child', 'sent', 'start', 'end'),
      ],
      { ...nothing, failed: new Set([`p-${failsForGood}`]) },
    );
    expect(figures).toMatchObject({ sent: 4, completed: 3, failed: 1 });
    expect(isSound(figures)).toBe(true);
  });

  test.each([
    ['lost', notes('p-0', 'sent'), nothing],
    ['lost', notes('p-0', 'sent', 'start'), nothing],
    ['stuck', notes('p-0', 'sent', 'start'), { ...nothing, unfinished: new Set(['p-0']) }],
    ['doubled', notes('p-0', 'sent', 'start', 'end', 'start', 'end'), nothing],
    ['doubled', notes('p-0', 'sent', 'start', 'start', 'end'), nothing],
    [
      'otherwise',
      notes(`p-${failsOnce}`, 'sent', 'start', 'fail'),
      { ...nothing, failed: new Set([`p-${failsOnce}`]) },
    ],
    [
      'otherwise',
      notes(`p-${failsForGood}`, 'sent', 'start', 'fail'),
      { ...nothing, failed: new Set([`p-${failsForGood}`]) },
    ],
  ] as const)('finds a job that is %s', (what, all, held) => {
    const figures = judged([...all], held);
    expect(figures[what]).toEqual([all[0]?.jobId]);
    expect(isSound(figures)).toBe(false);
  });

  test('counts each phase by itself', () => {
    const all = [note('sent', 'p-0', 1), note('start', 'p-0', 2), note('start', 'p-0', 12)];
    expect(
      judge(all, nothing, [
        { name: 'a', from: 0 },
        { name: 'b', from: 10 },
      ]).phases,
    ).toEqual([
      { name: 'a', sent: 1, ran: { bullmq5: 0, bullmq6: 0, islet: 1 } },
      { name: 'b', sent: 0, ran: { bullmq5: 0, bullmq6: 0, islet: 1 } },
    ]);
  });
});
