import { beforeEach, expect, test, vi } from 'vitest';
import { createTroubleReport } from '../../../src/broker/trouble.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const full = () => new Error('OOM command not allowed. script: 12ab, on @user_script:7.');

test('a trouble is told once, however often it is met and however long it lasts', () => {
  const report = vi.fn();
  const tell = createTroubleReport(report);
  for (let seconds = 0; seconds < 600; seconds++) {
    tell(full());
    tell(new Error('OOM command not allowed. script: 34cd, on @user_script:9.'));
    vi.advanceTimersByTime(1_000);
  }
  expect(report).toHaveBeenCalledTimes(1);
});

test('a trouble that was over is told when it comes again', () => {
  const report = vi.fn();
  const tell = createTroubleReport(report);
  tell(full());
  vi.advanceTimersByTime(61_000);
  tell(full());
  expect(report).toHaveBeenCalledTimes(2);
});

test('an outage is no trouble: the connection tells of it', () => {
  const report = vi.fn();
  const tell = createTroubleReport(report);
  const said = [
    "READONLY You can't write",
    'LOADING Redis',
    'MASTERDOWN Link',
    'UNBLOCKED force',
    'Connection is closed.',
  ];
  for (const message of said) tell(new Error(message));
  expect(report).not.toHaveBeenCalled();
});
