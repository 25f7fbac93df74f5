import { expect, test, vi } from 'vitest';
import { Guard } from '../../../src/guard/guard.ts';

vi.mock('../../../src/guard/guard-signals.ts', () => ({ signalFlags: ['--no-such-flag'] }));

test('watches on a Node that refuses the flags for signals', async () => {
  const lines = new SharedArrayBuffer(4);
  const program = `import { parentPort } from 'node:worker_threads';
    parentPort.once('message', ({ lines }) => {
      new Int32Array(lines)[0] = 1;
      parentPort.postMessage('watching');
    });`;
  const guard = new Guard(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
  const describeCurrentJob = () => undefined;
  const limits = { maxBlockMs: 1_000, stopSignals: [], stopWithinMs: 1_000 };
  await guard.watch({ describeCurrentJob, redis: '', ...limits, logs: false, lines });
  expect(new Int32Array(lines)[0]).toBe(1);
  await guard.close();
});
