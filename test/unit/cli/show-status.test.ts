import { expect, test } from 'vitest';
import { showStatus } from '../../../src/cli/show-status.ts';

test('the status is a table with the parent in its last line', () => {
  const status = {
    parent: { pid: 100, ageMs: 93_784_000, rssMb: 46 },
    workers: [
      { pid: 101, state: 'ready' as const, ageMs: 7_980_000, jobs: 12_345, running: 100, rssMb: 84 },
      { pid: 20_202, state: 'starting' as const, ageMs: 400, jobs: 0, running: 0, rssMb: 0 },
    ],
  };
  expect(showStatus(status).split('\n')).toEqual([
    'PID    STATE     AGE     JOBS   IN FLIGHT  RSS',
    '101    ready     2h 13m  12345  100        84 MB',
    '20202  starting  0s      0      0          0 MB',
    '100    parent    1d 2h                     46 MB',
  ]);
});
