import { once } from 'node:events';
import { IsletError } from '../errors.ts';
import { type FromWorker, refusedExitCode, type ToWorker } from '../supervisor/messages.ts';
import { reportError } from './report-error.ts';

/** What a supervised worker has of its parent. */
export interface ParentLine {
  tell(message: FromWorker): void;
  /** From now on the parent is heard, and missed. */
  listen(events: { onMessage(message: ToWorker): void; onGone(): void }): void;
}

/** No job was taken yet. */
const exitOrphaned = () => process.exit(0);

/** Waits until the parent says so, with all of the framework loaded. */
export async function awaitStart(): Promise<ParentLine> {
  process.on('disconnect', exitOrphaned);
  // A terminal tells all its processes, and the parent says what follows from that.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
  await once(process, 'message');
  return {
    tell(message) {
      // Its end is told otherwise.
      if (process.connected) process.send?.(message, undefined, undefined, () => {});
    },
    listen({ onMessage, onGone }) {
      process.on('message', onMessage);
      process.on('disconnect', onGone);
      process.removeListener('disconnect', exitOrphaned);
      // Listening to the parent is no reason to live.
      process.channel?.unref();
    },
  };
}

/** What does not change when it is tried again. */
const finalCodes = new Set(['E_CONFIG_INVALID', 'E_CATALOG_INVALID', 'E_APP_NOT_FOUND', 'E_REDIS_EVICTS']);

/** Ends a supervised worker that could not start in a way from which its parent knows whether to try again. */
export function exitRefused(error: unknown, verbose: boolean): never {
  const exitCode = reportError(error, verbose);
  process.exit(error instanceof IsletError && finalCodes.has(error.code) ? refusedExitCode : exitCode);
}
