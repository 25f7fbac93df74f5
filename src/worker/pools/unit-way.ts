import { parentPort, Worker } from 'node:worker_threads';
import { type FromUnit, read, type ToUnit, type UnitOrder, type Way, write } from './messages.ts';

// As that of the worker's guard: a heap of its own, and nothing that is preloaded for the app.
const smallThread = {
  name: 'islet-parent-watch',
  argv: [],
  env: {},
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 8, stackSizeMb: 1 },
};

/** A terminal and some process managers signal the whole group: it is the worker that decides when units end. */
const notOurs = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function openProcessWay(parent: number, end: (code: number) => void): Way<ToUnit, FromUnit> {
  new Worker(new URL('./parent-watch.js', import.meta.url), { ...smallThread, workerData: parent }).unref();
  for (const signal of notOurs) process.on(signal, () => {});
  process.once('disconnect', () => end(1));
  const send = process.send?.bind(process);
  // As in a worker, so that code that would tell its parent something finds none.
  process.send = undefined;
  return {
    send: (message) => send?.(write(message), undefined, {}, () => {}),
    onMessage: (take) => void process.on('message', (text) => take(read<ToUnit>(text))),
  };
}

/** Opens the way to the worker: from a thread, or from a process, which ends when the worker does. */
export function openWay({ parent }: UnitOrder, end: (code: number) => void): Way<ToUnit, FromUnit> {
  if (parent !== undefined) return openProcessWay(parent, end);
  return {
    send: (message) => parentPort?.postMessage(write(message)),
    onMessage: (take) => void parentPort?.on('message', (text) => take(read<ToUnit>(text))),
  };
}
