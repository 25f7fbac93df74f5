import { constants } from 'node:os';

/** The part of `process` that gives access to Node's own signal handling. */
interface Binder {
  noDeprecation?: boolean;
  binding?(name: 'signal_wrap'): { Signal: new () => { onsignal: () => void; start(signal: number): number } };
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
    if (!Signal) return;
    for (const signal of [constants.signals.SIGTERM, constants.signals.SIGINT]) {
      const handle = new Signal();
      handle.onsignal = onStop;
      handle.start(signal);
    }
  } catch {
    // This Node keeps signals from threads.
  }
}
