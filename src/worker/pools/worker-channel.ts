import { parentPort } from 'node:worker_threads';
import { watchParent } from '../../process/parent-watch.ts';
import { type FromUnit, read, type ToUnit, type UnitOrder, write } from './messages.ts';

/** A terminal and some process managers signal the whole group, but only the worker decides when its units end. */
const ignoredSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

type Take = (message: ToUnit) => void;
type Send = (message: FromUnit) => void;

/** Listens to the worker, and returns how to answer: from a thread, or from a process, which ends when the worker does. */
export function openWorkerChannel({ parent }: UnitOrder, take: Take, end: (code: number) => void): Send {
  if (parent !== undefined) return openProcessChannel(parent, take, end);
  parentPort?.on('message', (text) => take(read<ToUnit>(text)));
  return (message) => parentPort?.postMessage(write(message));
}

function openProcessChannel(parent: number, take: Take, end: (code: number) => void): Send {
  // A worker that was killed cannot end a unit that computes without end, so the parent is watched beside the event loop.
  watchParent(parent).allow(0);
  for (const signal of ignoredSignals) process.on(signal, () => {});
  process.once('disconnect', () => end(1));
  process.on('message', (text) => take(read<ToUnit>(text)));
  const send = process.send?.bind(process);
  // Code that would tell its parent something finds none, as in a worker.
  process.send = undefined;
  return (message) => send?.(write(message), undefined, {}, () => {});
}
