import { once } from 'node:events';
import type { AppSource } from '../app/app-source.ts';
import { watchParent } from '../supervisor/parent-watch.ts';
import type { FromWorker, ToWorker } from '../supervisor/worker-child.ts';
import { exitLimitMs } from '../worker/bootstrap.ts';
import type { Ending } from './signals.ts';

/** A supervised worker's parent, as the worker sees it. */
export interface Parent {
  readonly pid: number;
  /** The same app; the parent is told which queue's code is loaded. */
  tellOf(app: AppSource): AppSource;
  /** From now on there may be jobs: when the parent is gone, they get the grace, in milliseconds. */
  drainWithout(ending: Ending, graceMs: number): void;
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
export async function untilStarted(): Promise<Parent> {
  process.on('disconnect', exitOrphaned);
  // It may have gone while the framework was loaded, when nobody listened.
  if (!process.connected) exitOrphaned();
  const [{ parent }] = (await once(process, 'message')) as [ToWorker];
  // Listening to the parent is no reason to live.
  process.channel?.unref();
  const watch = watchParent(parent);
  return {
    pid: parent,
    tellOf: (app) => ({
      ...app,
      loadQueue(queue) {
        tell({ say: 'loading', queue });
        return app.loadQueue(queue);
      },
    }),
    drainWithout(ending, graceMs) {
      watch.allow(graceMs + exitLimitMs);
      process.on('disconnect', () => ending.orphaned());
      process.removeListener('disconnect', exitOrphaned);
    },
    sayReady(guarded) {
      if (guarded) void watch.close();
      tell({ say: 'ready' });
    },
  };
}
