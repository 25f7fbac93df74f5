import { constants } from 'node:os';

/** A part of Node's own signal handling. */
interface SignalHandle {
  onsignal: (signal: number) => void;
  start(signal: number): number;
}

interface Binder {
  noDeprecation?: boolean;
  binding?(name: 'signal_wrap'): { Signal: new () => SignalHandle };
}

/**
 * Calls back, on this thread, when this process is asked to end, also while the main thread is blocked. Node lets only
 * the main thread listen to signals, but for a binding that is deprecated and gone in Node 26. Without the binding, a
 * process that is blocked when it is asked to end does so after the block, or when it is killed.
 */
export function listenForStop(onStop: () => void): void {
  const binder = process as unknown as Binder;
  try {
    binder.noDeprecation = true;
    const Signal = binder.binding?.('signal_wrap').Signal;
    for (const signal of Signal ? [constants.signals.SIGTERM, constants.signals.SIGINT] : []) {
      const handle = new (Signal as new () => SignalHandle)();
      handle.onsignal = onStop;
      handle.start(signal);
    }
  } catch {
    // This Node keeps signals from threads.
  }
}
