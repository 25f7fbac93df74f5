import { expect, test } from 'vitest';
import { parseRuns } from '../../../../lab/chaos/ledger.ts';

test('joins the lines of each start, in the order of the starts', () => {
  const first = 'start 200 1 b fast 1 \neffect 205 1 b fast 1 \nend 206 1 b fast 1 \n';
  const second = 'start 100 2 a failing 1 \nfail 110 2 a failing 1 \nstart 150 2 a failing 2 \n';
  expect(parseRuns([first, second])).toEqual([
    { jobId: 'a', task: 'failing', pid: 2, attempt: 1, startedAt: 100, failedAt: 110 },
    { jobId: 'a', task: 'failing', pid: 2, attempt: 2, startedAt: 150 },
    { jobId: 'b', task: 'fast', pid: 1, attempt: 1, startedAt: 200, endedAt: 206 },
  ]);
});

test('keeps two overlapping starts of one job in one process apart', () => {
  const lines = ['start 1 1 a slow 1 ', 'start 2 1 a slow 1 ', 'end 3 1 a slow 1 ', 'end 4 1 a slow 1 '];
  expect(parseRuns([`${lines.join('\n')}\n`]).map(({ endedAt }) => endedAt)).toEqual([3, 4]);
});

test('remembers why a signal was aborted', () => {
  const file = 'start 1 1 a slow 1 \nabort 2 1 a slow 1 E_JOB_RELEASED\n';
  expect(parseRuns([file])).toMatchObject([{ abortedBy: 'E_JOB_RELEASED' }]);
});

test('drops half a line, as a killed process leaves it', () => {
  expect(parseRuns(['start 1 1 a slow 1 \nstart 2 1 b'])).toEqual([
    { jobId: 'a', task: 'slow', pid: 1, attempt: 1, startedAt: 1 },
  ]);
});
