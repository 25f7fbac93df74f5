import { describe, expect, test } from 'vitest';
import { parseStack } from '../../../src/guard/block-report.ts';
import { Guard } from '../../../src/guard/guard.ts';
import { GuardTable, type HeldLock } from '../../../src/guard/guard-table.ts';
import { decideOnBlock, isLate, look, type Situation } from '../../../src/guard/guard-watch.ts';

const lockOf = (jobId: string): HeldLock => ({
  key: `islet:{mail}:${jobId}:lock`,
  token: `token-${jobId}`,
  durationMs: 30_000,
  workersKey: 'islet:{mail}:islet:workers',
  queue: 'mail',
  workerId: 'worker-1',
  jobId,
});

function openTable(capacity?: number) {
  const table = new GuardTable(capacity);
  const reader = new GuardTable(table.memory);
  return { table, reader, heldIds: () => reader.held().map((lock) => lock.jobId) };
}

describe('the table of held locks', () => {
  test('shows the other thread each lock until it is released', () => {
    const { table, reader, heldIds } = openTable();
    const release = table.hold(lockOf('a'));
    table.hold(lockOf('ünï-☃'));
    expect(reader.held()).toEqual([lockOf('a'), lockOf('ünï-☃')]);
    release();
    expect(heldIds()).toEqual(['ünï-☃']);
  });

  test('uses a slot again, and ignores a second release of the lock that had it before', () => {
    const { table, heldIds } = openTable(1);
    const release = table.hold(lockOf('a'));
    release();
    table.hold(lockOf('b'));
    release();
    table.hold(lockOf('c'));
    expect(heldIds()).toEqual(['b']);
  });

  test('leaves out a lock that finds it full, and takes the next one once there is room', () => {
    const { table, heldIds } = openTable(2);
    const release = table.hold(lockOf('a'));
    table.hold(lockOf('b'));
    const releaseNothing = table.hold(lockOf('c'));
    releaseNothing();
    expect(heldIds()).toEqual(['a', 'b']);
    release();
    table.hold(lockOf('d'));
    expect(heldIds()).toEqual(['d', 'b']);
  });

  test('leaves out a lock whose names are too long, and no other', () => {
    const { table, heldIds } = openTable(1);
    const release = table.hold({ ...lockOf('a'), jobId: 'x'.repeat(2_000) });
    expect(heldIds()).toEqual([]);
    release();
    table.hold(lockOf('a'));
    expect(heldIds()).toEqual(['a']);
  });

  test('leaves out a lock with a separator in a name: its parts could be taken for others', () => {
    const { table, heldIds } = openTable();
    table.hold(lockOf('a\0b'));
    expect(heldIds()).toEqual([]);
  });

  test('carries the beat, the inspector and the deadline', () => {
    const { table, reader } = openTable();
    expect([reader.beats, reader.inspected, reader.deadline]).toEqual([0, false, undefined]);
    table.beat();
    table.inspected = true;
    table.bringForward(1_800_000_000_000.4);
    expect(table.bringForward(1_900_000_000_000)).toBe(1_800_000_000_000);
    expect([reader.beats, reader.inspected, reader.deadline]).toEqual([1, true, 1_800_000_000_000]);
  });
});

describe('a look at the beat', () => {
  const start = { beats: 1, lookedAt: 0, blockedMs: 0 };

  test('adds up the time without one', () => {
    const watch = look(look(look(start, 100, 1), 200, 1), 310, 1);
    expect(watch).toEqual({ beats: 1, lookedAt: 310, blockedMs: 310 });
    expect(isLate(watch)).toBe(true);
  });

  test('begins anew with each one', () => {
    expect(look({ beats: 1, lookedAt: 300, blockedMs: 300 }, 400, 2)).toEqual({
      beats: 2,
      lookedAt: 400,
      blockedMs: 0,
    });
  });

  test('does not count the time in which the guard did not run itself', () => {
    expect(look(start, 3_600_000, 1).blockedMs).toBe(250);
  });
});

describe('the decision about a late loop', () => {
  const calm: Situation = {
    blockedMs: 300,
    shortestLockMs: 30_000,
    maxBlockMs: 60_000,
    deadline: undefined,
    now: 1_000_000,
    inspected: false,
  };
  const nothing = { keepLocks: false, name: false, end: undefined };

  test.each<[string, Partial<Situation>, Partial<ReturnType<typeof decideOnBlock>>]>([
    ['does nothing yet at 300 ms with locks of 30 s', {}, {}],
    ['keeps locks of 2 s from 250 ms on', { shortestLockMs: 2_000 }, { keepLocks: true }],
    ['keeps locks of 4 s only from 500 ms on', { shortestLockMs: 4_000, blockedMs: 499 }, {}],
    ['keeps locks and names the block from 1 s on', { blockedMs: 1_000 }, { keepLocks: true, name: true }],
    ['keeps nothing without locks', { blockedMs: 1_000, shortestLockMs: undefined }, { name: true }],
    ['stops keeping and ends at maxBlockMs', { blockedMs: 60_000 }, { name: true, end: 'blocked' }],
    ['ends at the deadline', { deadline: 1_000_000 }, { end: 'overdue' }],
    ['does not end before the deadline', { deadline: 1_000_001 }, {}],
    ['only keeps locks under an inspector', { blockedMs: 60_000, deadline: 1, inspected: true }, { keepLocks: true }],
  ])('%s', (_, situation, expected) => {
    expect(decideOnBlock({ ...calm, ...situation })).toEqual({ ...nothing, ...expected });
  });
});

test('a stack is told as functions and lines, without the question and without what waits', () => {
  const stack = [
    'Error',
    '    at <anonymous>:1:45',
    '    at RegExp.test (<anonymous>)',
    '    at Object.spin (file:///app/tasks/a/task.js:12:50)',
    '    at /app/loop.cjs:3:1',
    '    at async runJob (file:///app/run-job.js:1:2)',
  ].join('\n');
  expect(parseStack(stack)).toEqual([
    'RegExp.test (<anonymous>)',
    'Object.spin (/app/tasks/a/task.js:12)',
    '<anonymous> (/app/loop.cjs:3)',
  ]);
});

test('a guard whose thread cannot start takes locks and closes, twice', async () => {
  const guard = new Guard(new URL('./no-such-program.js', import.meta.url));
  const watching = guard.watch({
    redis: '',
    maxBlockMs: 1_000,
    stopSignals: [],
    stopWithinMs: 1_000,
    describeCurrentJob: () => undefined,
    logs: false,
  });
  guard.hold(lockOf('a'))();
  await watching;
  await Promise.all([guard.close(), guard.close()]);
  expect(Symbol.for('islet.blockReport') in globalThis).toBe(false);
});
