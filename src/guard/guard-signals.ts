import { constants } from 'node:os';

/** The flags of a thread that calls `listenForStop`: they show it the inner parts of Node, without a warning. */
export const signalFlags = ['--expose-internals', '--no-warnings'];

/** The part of Node that gives access to its own signal handling. */
interface Internals {
  internalBinding(name: 'signal_wrap'): { Signal: new () => { onsignal: () => void; start(signal: number): number } };
}

/**
 * Calls back, on this thread, when one of the signals asks this process to end, also while the main thread is blocked. Node lets only
 * the main thread listen to signals, so this takes the handle that Node itself makes of one. On a Node that hides the
 * handle, a process that is blocked when it is asked to end does so after the block, or when it is killed.
 */
export function listenForStop(signals: readonly NodeJS.Signals[], onStop: () => void): void {
  try {
    const internals = process.getBuiltinModule('internal/test/binding') as unknown as Internals;
    const { Signal } = internals.internalBinding('signal_wrap');
    for (const signal of signals) {
      const handle = new Signal();
      handle.onsignal = onStop;
      handle.start(constants.signals[signal]);
    }
  } catch {
    // This Node keeps signals from threads.
  }
}
