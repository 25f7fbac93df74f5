import { once } from 'node:events';
import type { AppSource } from '../app/app-source.ts';
import { IsletError } from '../errors.ts';
import { watchParent } from '../process/parent-watch.ts';
import { type FromWorker, refusedExitCode, type ToWorker } from '../supervisor/messages.ts';
import { reportError } from './report-error.ts';

/** What a supervised worker has of its parent. */
export interface ParentLine {
  readonly pid: number;
  tell(message: FromWorker): void;
  /** From now on the parent is heard, and missed. */
  listen(events: { onMessage(message: ToWorker): void; onGone(): void }): void;
  /** The same app; the parent is told which queue's code is loaded. */
  tellOf(app: AppSource): AppSource;
  /** From now on there may be jobs: when the parent is gone, this process may go on for so long, in milliseconds. */
  allow(ms: number): void;
  /** Tells it that jobs are taken. A guard that was given the parent's id watches it from now on. */
  sayReady(guarded: boolean): void;
}

/** No job was taken yet. */
const exitOrphaned = () => process.exit(0);

function tell(message: FromWorker): void {
  // Its end is told otherwise.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/**
 * Waits until the parent says that the app may be loaded, with all of the framework loaded. Without a parent there is
 * nothing to wait for, and the process ends.
 */
export async function awaitStart(): Promise<ParentLine> {
  process.on('disconnect', exitOrphaned);
  // It may have gone while the framework was loaded, when nobody listened.
  if (!process.connected) exitOrphaned();
  // A terminal tells all its processes, and the parent says what follows from that.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
  const [{ parent }] = (await once(process, 'message')) as [Extract<ToWorker, { say: 'start' }>];
  const watch = watchParent(parent);
  return {
    pid: parent,
    tell,
    listen({ onMessage, onGone }) {
      process.on('message', onMessage);
      process.on('disconnect', onGone);
      process.removeListener('disconnect', exitOrphaned);
      // Listening to the parent is no reason to live.
      process.channel?.unref();
    },
    tellOf: (app) => ({
      ...app,
      loadQueue(queue) {
        tell({ say: 'loading', queue });
        return app.loadQueue(queue);
      },
    }),
    allow: watch.allow,
    sayReady(guarded) {
      if (guarded) void watch.close();
      tell({ say: 'ready' });
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
