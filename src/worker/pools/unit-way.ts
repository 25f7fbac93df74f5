import { parentPort } from 'node:worker_threads';
import { watchParent } from '../../process/parent-watch.ts';
import { type FromUnit, read, type ToUnit, type UnitOrder, type Way, write } from './messages.ts';

/** A terminal and some process managers signal the whole group: it is the worker that decides when units end. */
const notOurs = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function openProcessWay(parent: number, end: (code: number) => void): Way<ToUnit, FromUnit> {
  // Also while it computes without end: a worker that was killed cannot end it any more.
  watchParent(parent).allow(0);
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
