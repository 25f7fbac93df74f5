import { parentPort } from 'node:worker_threads';
import { watchParent } from '../../process/parent-watch.ts';
import { type FromUnit, read, type ToUnit, type UnitOrder, write } from './messages.ts';

/** A unit's channel to its worker. */
export interface WorkerChannel {
  send(message: FromUnit): void;
  onMessage(take: (message: ToUnit) => void): void;
}

/** A terminal and some process managers signal the whole group, but only the worker decides when its units end. */
const ignoredSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Opens the channel to the worker: from a thread, or from a process, which ends when the worker does. */
export function openWorkerChannel({ parent }: UnitOrder, end: (code: number) => void): WorkerChannel {
  if (parent !== undefined) return openProcessChannel(parent, end);
  return {
    send: (message) => parentPort?.postMessage(write(message)),
    onMessage: (take) => void parentPort?.on('message', (text) => take(read<ToUnit>(text))),
  };
}

function openProcessChannel(parent: number, end: (code: number) => void): WorkerChannel {
  // A worker that was killed cannot end a unit that computes without end, so the parent is watched beside the event loop.
  watchParent(parent).allow(0);
  for (const signal of ignoredSignals) process.on(signal, () => {});
  process.once('disconnect', () => end(1));
  const send = process.send?.bind(process);
  // Code that would tell its parent something finds none, as in a worker.
  process.send = undefined;
  return {
    send: (message) => send?.(write(message), undefined, {}, () => {}),
    onMessage: (take) => void process.on('message', (text) => take(read<ToUnit>(text))),
  };
}
