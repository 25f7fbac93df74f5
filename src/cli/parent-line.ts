import { once } from 'node:events';
import type { AppSource } from '../app/app-source.ts';
import { IsletError } from '../errors.ts';
import { watchParent } from '../process/parent-watch.ts';
import { leaveToParent, stopSignals } from '../process/stop-signals.ts';
import { type FromWorker, refusedExitCode, type ToWorker } from '../supervisor/messages.ts';
import { reportError } from './report-error.ts';

/** The line of a supervised worker to its parent. */
export type ParentLine = Awaited<ReturnType<typeof awaitStart>>;

/** Ends a worker that has taken no job yet. */
const exitOrphaned = () => process.exit(0);

function tell(message: FromWorker): void {
  // A closed line is noticed by its own event.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/**
 * Waits, with all of the framework loaded, until the parent says that the app may be loaded. Without a parent there is
 * nothing to wait for, and the process ends.
 */
export async function awaitStart() {
  process.on('disconnect', exitOrphaned);
  // The parent may have gone while the framework was loaded, when nobody listened.
  if (!process.connected) exitOrphaned();
  // The parent itself sends SIGTERM.
  leaveToParent(stopSignals.filter((signal) => signal !== 'SIGTERM'));
  const [{ parent, tellFiles }] = (await once(process, 'message')) as [Extract<ToWorker, { say: 'start' }>];
  const watch = watchParent(parent);
  return {
    pid: parent,
    tell,
    /** Lets the worker hear its parent, and notice when it is gone. */
    listen({ onMessage, onGone }: { onMessage(message: ToWorker): void; onGone(): void }) {
      process.on('message', onMessage);
      process.on('disconnect', onGone);
      process.removeListener('disconnect', exitOrphaned);
      // Listening to the parent is no reason to live.
      process.channel?.unref();
    },
    /** Returns the same app, which tells the parent of each queue whose code it loads. */
    tellLoads: (app: AppSource): AppSource => ({
      ...app,
      findQueue(queue) {
        tell({ say: 'loading', queue });
        return app.findQueue(queue);
      },
    }),
    /** Tells the parent which files are loaded, if it has asked for that. */
    async tellFiles(list: (() => Promise<string[]>) | undefined) {
      if (tellFiles && list) tell({ say: 'loaded', files: await list() });
    },
    /** Notes that there may be jobs: this process may outlive its parent for so many milliseconds. */
    allow: watch.allow,
    /** Tells the parent that jobs are taken. A guard that knows the parent's id watches the parent from now on. */
    sayReady(guarded: boolean) {
      if (guarded) void watch.close();
      tell({ say: 'ready' });
    },
  };
}

/** Errors that a second try would meet again. */
const finalCodes = new Set(['E_CONFIG_INVALID', 'E_CATALOG_INVALID', 'E_APP_NOT_FOUND', 'E_REDIS_EVICTS']);

/** Ends a supervised worker that could not start; its exit code tells the parent whether to try again. */
export function exitRefused(error: unknown, verbose: boolean): never {
  const exitCode = reportError(error, verbose);
  process.exit(error instanceof IsletError && finalCodes.has(error.code) ? refusedExitCode : exitCode);
}
