import { constants } from 'node:os';

/** What Node's own signal handling is made of. */
interface SignalHandle {
  onsignal: (signal: number) => void;
  start(signal: number): number;
}

interface Binder {
  noDeprecation?: boolean;
  binding?(name: 'signal_wrap'): { Signal: new () => SignalHandle };
}

/**
 * Calls back when this process is asked to end, from a thread, also while the main thread is blocked: every event loop
 * that listens is told. Node gives that to the main thread only, but for a binding that is deprecated and gone in
 * Node 26; without it, a process that is blocked when it is asked to end, ends with the block, or when it is killed.
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
