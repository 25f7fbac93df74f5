import { beforeEach, expect, test, vi } from 'vitest';
import { StopRequests } from '../../../src/cli/stop-requests.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));

test('a signal within a second of the last request is its echo, and a later one asks again', () => {
  const requests = new StopRequests();
  expect([requests.asked, requests.isEcho]).toEqual([false, false]);
  requests.note();
  expect([requests.asked, requests.isEcho]).toEqual([true, true]);
  vi.advanceTimersByTime(1_000);
  expect(requests.isEcho).toBe(true);
  vi.advanceTimersByTime(1);
  expect([requests.asked, requests.isEcho]).toEqual([true, false]);
  requests.note();
  expect(requests.isEcho).toBe(true);
});
