import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { FromWorker, ToWorker } from '../../../src/supervisor/messages.ts';
import { Supervisor } from '../../../src/supervisor/supervisor.ts';
import type { WorkerChild, WorkerExit } from '../../../src/supervisor/worker-child.ts';

/** A worker process that does what the test says. */
class FakeWorker {
  readonly told: ToWorker[] = [];
  readonly asked: string[] = [];
  readonly index: number;
  readonly child: WorkerChild;
  hear: (message: FromWorker) => void = () => {};
  end: (exit: WorkerExit) => void = () => {};

  constructor(index: number, pid: number) {
    this.index = index;
    const ended = new Promise<WorkerExit>((resolve) => {
      this.end = resolve;
    });
    this.child = {
      pid,
      start: () => this.asked.push('start'),
      output: undefined as never,
      ended,
      onMessage: (listener) => {
        this.hear = listener;
      },
      tell: (message) => void this.told.push(message),
      stop: () => void this.asked.push('stop'),
      kill: () => void this.asked.push('kill'),
    };
  }
}

let workers: FakeWorker[];
let lines: string[];
/** The error with which the system refuses to make a process. */
let refusal: Error | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  workers = [];
  lines = [];
  refusal = undefined;
});

function supervise(processes: number): Supervisor {
  const supervisor = new Supervisor({
    processes,
    gracefulTimeoutMs: 1_000,
    log: { level: 'info', write: (_, __, msg) => lines.push(msg) },
    create(index) {
      if (refusal) throw refusal;
      const worker = new FakeWorker(index, 1_000 + workers.length);
      workers.push(worker);
      return worker.child;
    },
    random: () => 1,
  });
  supervisor.start();
  return supervisor;
}

const at = (number: number) => workers[number] as FakeWorker;
const ready = (...numbers: number[]) => {
  for (const number of numbers) at(number).hear({ say: 'ready' });
};
async function end(number: number, exit: Partial<WorkerExit>): Promise<void> {
  at(number).end({ code: null, signal: null, ...exit });
  await vi.advanceTimersByTimeAsync(0);
}
const kill = (number: number) => end(number, { signal: 'SIGKILL' });

test('starts the first worker alone, and the others when it takes jobs', () => {
  const supervisor = supervise(2);
  expect([workers.length, supervisor.health]).toEqual([1, 'starting']);
  ready(0);
  expect([workers.length, supervisor.health]).toEqual([2, 'ok']);
});

describe('a worker that dies', () => {
  test('is replaced at once, and the others are told to look for its jobs', async () => {
    supervise(2);
    ready(0, 1);
    await kill(0);
    expect(workers).toHaveLength(3);
    expect([at(2).index, at(1).told]).toEqual([0, [{ say: 'died' }]]);
  });

  test('early, again and again, is replaced after longer and longer pauses, until the supervisor gives up', async () => {
    const supervisor = supervise(2);
    ready(0, 1);
    await kill(1);
    for (const pauseMs of [500, 1_000, 2_000]) {
      await kill(workers.length - 1);
      const before = workers.length;
      await vi.advanceTimersByTimeAsync(pauseMs - 1);
      expect(workers).toHaveLength(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(workers).toHaveLength(before + 1);
    }
    // The first worker is not steady yet, and no other was for so long.
    expect(supervisor.health).toBe('ok');
    await kill(workers.length - 1);
    expect([supervisor.health, at(0).asked]).toEqual(['failed', ['start', 'stop']]);
    await end(0, { code: 0 });
    await expect(supervisor.ended).resolves.toBe(70);
  });

  test('is no part of a crash loop after any worker was steady', async () => {
    const supervisor = supervise(2);
    ready(0, 1);
    for (let deaths = 0; deaths < 4; deaths++) {
      await kill(workers.length - 1);
      await vi.advanceTimersByTimeAsync(2_000);
    }
    ready(workers.length - 1);
    await vi.advanceTimersByTimeAsync(10_000);
    await kill(workers.length - 1);
    const before = workers.length;
    expect(supervisor.health).toBe('ok');
    await kill(before - 1);
    expect(workers).toHaveLength(before + 1);
  });

  test('early, again and again, ends no worker that is steady', async () => {
    const supervisor = supervise(2);
    ready(0);
    await vi.advanceTimersByTimeAsync(10_000);
    for (let deaths = 0; deaths < 7; deaths++) {
      await kill(workers.length - 1);
      await vi.advanceTimersByTimeAsync(30_000);
    }
    expect([workers.length, supervisor.health, at(0).asked]).toEqual([9, 'ok', ['start']]);
    await kill(0);
    expect(supervisor.health).toBe('starting');
    await kill(workers.length - 1);
    expect(supervisor.health).toBe('failed');
  });

  test('is told to a worker that started meanwhile, when that takes jobs', async () => {
    supervise(2);
    ready(0);
    await vi.advanceTimersByTimeAsync(1);
    await kill(0);
    expect(at(1).told).toEqual([]);
    ready(1);
    expect(at(1).told).toEqual([{ say: 'died' }]);
    ready(2);
    expect(at(2).told).toEqual([]);
  });

  test('by an exit code of 0 of which nobody knew is a death like any other', async () => {
    supervise(2);
    ready(0, 1);
    await end(0, { code: 0 });
    expect([workers.length, at(1).told]).toEqual([3, [{ say: 'died' }]]);
    await end(2, { code: 0 });
    expect([workers.length, lines.filter((line) => line.startsWith('A worker died'))]).toEqual([
      3,
      [expect.anything(), expect.anything()],
    ]);
  });

  test('cannot be replaced while the system makes no process: it is asked again', async () => {
    supervise(1);
    ready(0);
    await vi.advanceTimersByTimeAsync(10_000);
    refusal = new Error('spawn ENOMEM');
    await kill(0);
    await vi.advanceTimersByTimeAsync(600);
    expect([workers.length, lines.at(-1)]).toEqual([1, 'A worker cannot be started']);
    refusal = undefined;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(workers).toHaveLength(2);
  });

  test('because of its command line ends the supervisor the same way', async () => {
    const supervisor = supervise(2);
    await end(0, { code: 2 });
    await expect(supervisor.ended).resolves.toBe(2);
    expect(workers).toHaveLength(1);
  });

  test('that drains because it has to be replaced has its successor before it ends', () => {
    supervise(1);
    ready(0);
    at(0).hear({ say: 'leaving', failed: true });
    expect(workers).toHaveLength(2);
  });

  test('that drains by itself is killed when it is not gone shortly after its grace', async () => {
    supervise(1);
    ready(0);
    at(0).hear({ say: 'leaving', failed: false });
    await vi.advanceTimersByTimeAsync(3_499);
    expect(at(0).asked).toEqual(['start']);
    await vi.advanceTimersByTimeAsync(1);
    expect(at(0).asked).toEqual(['start', 'kill']);
  });
});

describe('recycling', () => {
  test('stops a worker only when its successor takes jobs, and the next one only when it has ended', async () => {
    supervise(2);
    ready(0, 1);
    at(0).hear({ say: 'due', why: 'age' });
    at(1).hear({ say: 'due', why: 'jobs' });
    expect([workers.length, at(0).asked]).toEqual([3, ['start']]);
    ready(2);
    expect(at(0).asked).toEqual(['start', 'stop']);
    expect([workers.length, at(1).asked]).toEqual([3, ['start']]);
    await end(0, { code: 0 });
    expect(workers).toHaveLength(4);
    ready(3);
    expect(at(1).asked).toEqual(['start', 'stop']);
    await end(1, { code: 0 });
    expect(workers).toHaveLength(4);
  });

  test('keeps the old worker while its successor cannot start', async () => {
    supervise(1);
    ready(0);
    await vi.advanceTimersByTimeAsync(10_000);
    at(0).hear({ say: 'due', why: 'memory' });
    await kill(1);
    expect([workers.length, at(0).asked]).toEqual([3, ['start']]);
    ready(2);
    expect(at(0).asked).toEqual(['start', 'stop']);
  });

  test('goes on with the next one when the outgoing one dies', async () => {
    supervise(2);
    ready(0, 1);
    at(0).hear({ say: 'due', why: 'age' });
    await kill(0);
    ready(2);
    expect([workers.length, at(1).asked]).toEqual([3, ['start']]);
    at(1).hear({ say: 'due', why: 'age' });
    ready(3);
    expect(at(1).asked).toEqual(['start', 'stop']);
  });

  test('of all replaces also one that starts, which may have loaded the code before', async () => {
    const supervisor = supervise(2);
    ready(0);
    supervisor.recycleAll();
    ready(1);
    ready(2);
    await end(0, { code: 0 });
    ready(3);
    expect([workers.length, at(1).asked]).toEqual([4, ['start', 'stop']]);
  });

  test('of all replaces each that takes jobs, once', async () => {
    const supervisor = supervise(2);
    ready(0, 1);
    supervisor.recycleAll();
    ready(2);
    await end(0, { code: 0 });
    ready(3);
    await end(1, { code: 0 });
    expect([workers.length, at(2).asked, at(3).asked]).toEqual([4, ['start'], ['start']]);
  });
});

describe('a stop', () => {
  test('kills what is not gone shortly after the grace, and ends with 0', async () => {
    const supervisor = supervise(2);
    ready(0, 1);
    supervisor.stop();
    await end(0, { code: 0 });
    await vi.advanceTimersByTimeAsync(3_499);
    expect(at(1).asked).toEqual(['start', 'stop']);
    await vi.advanceTimersByTimeAsync(1);
    expect(at(1).asked).toEqual(['start', 'stop', 'kill']);
    await kill(1);
    await expect(supervisor.ended).resolves.toBe(0);
    expect(workers).toHaveLength(2);
  });

  test('asked for twice aborts, three times kills', () => {
    const supervisor = supervise(1);
    ready(0);
    supervisor.stop();
    supervisor.stop();
    expect([at(0).told, at(0).asked]).toEqual([[{ say: 'abort' }], ['start', 'stop']]);
    supervisor.stop();
    expect(at(0).asked).toEqual(['start', 'stop', 'kill']);
  });

  test('asked for once after it has given up aborts nothing', () => {
    const supervisor = supervise(1);
    ready(0);
    supervisor.giveUp(1);
    supervisor.stop();
    expect([at(0).told, at(0).asked, supervisor.health]).toEqual([[], ['start', 'stop'], 'failed']);
  });

  test('leaves a worker that drains already in peace', async () => {
    const supervisor = supervise(1);
    ready(0);
    at(0).hear({ say: 'leaving', failed: false });
    ready(1);
    supervisor.stop();
    expect([at(0).asked, at(1).asked]).toEqual([['start'], ['start', 'stop']]);
  });
});
