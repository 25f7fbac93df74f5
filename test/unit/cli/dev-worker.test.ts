import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { DevWorker } from '../../../src/cli/dev-worker.ts';
import type { FromWorker } from '../../../src/supervisor/messages.ts';
import type { WorkerChild, WorkerExit } from '../../../src/supervisor/worker-child.ts';

/** Creates a process that does what the test says. */
function fakeChild() {
  let end: (exit: WorkerExit) => void = () => {};
  const ended = new Promise<WorkerExit>((resolve) => {
    end = resolve;
  });
  const listeners: ((message: FromWorker) => void)[] = [];
  const tell = (message: FromWorker) => {
    for (const listener of listeners) listener(message);
  };
  const child: WorkerChild = {
    pid: 1,
    start() {},
    output: Readable.from([]),
    ended,
    onMessage: (listener) => void listeners.push(listener),
    tell() {},
    stop: vi.fn(),
    kill: vi.fn(),
  };
  return { child, end: () => end({ code: 0, signal: null }), tell };
}

/** Creates a worker of `islet dev` whose processes start when the test says so. */
function open() {
  const starts: ((child: WorkerChild | Error) => void)[] = [];
  const said: string[] = [];
  const onReady = vi.fn();
  const worker = new DevWorker({
    start: () =>
      new Promise((resolve, reject) => {
        starts.push((child) => (child instanceof Error ? reject(child) : resolve(child)));
      }),
    stopLimitMs: 7,
    onReady,
    say: (text) => void said.push(text),
  });
  return { worker, starts, said, onReady };
}

test('new code is told of when the code before takes no further job', async () => {
  const { worker, starts, said } = open();
  void worker.replace();
  const [before, after] = [fakeChild(), fakeChild()];
  starts[0]?.(before.child);
  await turn();
  before.tell({ say: 'ready' });
  await vi.waitFor(() => expect(said).toHaveLength(1));
  void worker.replace();
  await vi.waitFor(() => expect(starts).toHaveLength(2));
  starts[1]?.(after.child);
  await turn();
  after.tell({ say: 'ready' });
  await vi.waitFor(() => expect(before.child.stop).toHaveBeenCalled());
  await turn();
  expect(said).toHaveLength(1);
  before.tell({ say: 'leaving', failed: false });
  await vi.waitFor(() => expect(said).toHaveLength(2), { timeout: 400 });
});

test('a worker whose start was under way at the stop is stopped too, and waited for', async () => {
  const { worker, starts, onReady } = open();
  void worker.replace();
  let stopped = false;
  const stopping = worker.stop().then(() => {
    stopped = true;
  });
  const late = fakeChild();
  starts[0]?.(late.child);
  await turn();
  expect(late.child.stop).toHaveBeenCalledWith(7);
  expect(stopped).toBe(false);
  late.end();
  await stopping;
  expect(onReady).not.toHaveBeenCalled();
});

test('a worker that is still starting is dismissed when there is newer code', async () => {
  const { worker, starts, said } = open();
  void worker.replace();
  const [first, second] = [fakeChild(), fakeChild()];
  starts[0]?.(first.child);
  await turn();
  void worker.replace();
  await turn();
  expect(first.child.stop).toHaveBeenCalledWith(7);
  starts[1]?.(second.child);
  await turn();
  second.tell({ say: 'ready' });
  await turn();
  expect(said).toEqual([expect.stringMatching(/^Ready in \d+ ms\.$/)]);
  expect(second.child.stop).not.toHaveBeenCalled();
});

test('a start that fails is told of, and the next one is tried all the same', async () => {
  const { worker, starts, said } = open();
  const replaced = worker.replace();
  starts[0]?.(new Error('no folder'));
  await replaced;
  expect(said).toEqual(['no folder']);
  void worker.replace();
  expect(starts.length).toBe(2);
});

test('a crash does not dismiss the next worker, which is on its way', async () => {
  const { worker, starts } = open();
  const [crashing, next] = [fakeChild(), fakeChild()];
  const replaced = worker.replace();
  starts[0]?.(crashing.child);
  await turn();
  crashing.tell({ say: 'ready' });
  await replaced;
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval'] });
  void worker.replace();
  starts[1]?.(next.child);
  await turn();
  crashing.end();
  await turn();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(next.child.stop).not.toHaveBeenCalled();
  expect(starts.length).toBe(2);
});

test('the end at once is the end of all: the one that runs, the one that starts, and the ones that were dismissed', async () => {
  const { worker, starts } = open();
  const [before, dismissed, starting] = [fakeChild(), fakeChild(), fakeChild()];
  const replaced = worker.replace();
  starts[0]?.(before.child);
  await turn();
  before.tell({ say: 'ready' });
  await replaced;
  void worker.replace();
  starts[1]?.(dismissed.child);
  await turn();
  void worker.replace();
  await turn();
  starts[2]?.(starting.child);
  await turn();
  worker.kill();
  for (const { child } of [before, dismissed, starting]) expect(child.kill).toHaveBeenCalledOnce();
});
