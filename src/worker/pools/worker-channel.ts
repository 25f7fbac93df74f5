import { parentPort } from 'node:worker_threads';
import { killSelf } from '../../process/kill-group.ts';
import { watchParent } from '../../process/parent-watch.ts';
import { leaveToParent, stopSignals } from '../../process/stop-signals.ts';
import { type FromUnit, read, type ToUnit, type UnitOrder, write } from './messages.ts';

type Take = (message: ToUnit) => void;
type Send = (message: FromUnit) => void;

/** Listens to the worker, and returns how to answer: from a thread, or from a process, which ends when the worker does. */
export function openWorkerChannel({ parent }: UnitOrder, take: Take): Send {
  if (parent !== undefined) return openProcessChannel(parent, take);
  parentPort?.on('message', (text) => take(read<ToUnit>(text)));
  return (message) => parentPort?.postMessage(write(message));
}

function openProcessChannel(parent: number, take: Take): Send {
  // A worker that was killed cannot end a unit that computes without end, so the parent is watched beside the event loop.
  watchParent(parent).allow(0);
  // Only the worker decides when its units end.
  leaveToParent(stopSignals);
  // Nobody else ends what the code has started.
  process.once('disconnect', killSelf);
  process.on('message', (text) => take(read<ToUnit>(text)));
  const send = process.send?.bind(process);
  // Code that would tell its parent something finds none, as in a worker.
  process.send = undefined;
  return (message) => send?.(write(message), undefined, {}, () => {});
}
