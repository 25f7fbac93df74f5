import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerChild } from '../supervisor/worker-child.ts';

/** Keeps one worker, and replaces it. */
export interface Keeper {
  /**
   * Starts a worker with the code as it is now; the one before goes on until that takes jobs. One that is still starting
   * is dismissed: it has older code. Never rejects.
   */
  replace(): Promise<void>;
  /** Resolves when all workers have ended, in their own time. */
  stop(): Promise<void>;
  /** Ends all workers at once. */
  kill(): void;
}

export interface KeeperOptions {
  /** Starts a worker with the code as it is now. */
  start(): Promise<WorkerChild>;
  /** How long a dismissed worker may live, in milliseconds. */
  stopLimitMs: number;
  /** Called when a new worker takes jobs. */
  onReady(): void;
  say(text: string): void;
}

/** A worker that crashed is started again after so long, in milliseconds. */
const crashPauseMs = 1_000;
/** How long the new code waits, in milliseconds, until the code before takes no further job. */
const longestLeaveMs = 500;
/** A start that takes longer, in milliseconds, is told of: it may never end. */
const slowStartMs = 5_000;

type Start = 'ready' | 'failed' | 'outdated';

function describeSlow({ loading }: WorkerChild, forMs: number): string {
  const what = loading === undefined ? 'the app' : `the code of queue "${loading}"`;
  return `The worker is still starting after ${Math.round(forMs / 1_000)} s: it loads ${what}.`;
}

export function createKeeper({ start, stopLimitMs, onReady, say }: KeeperOptions): Keeper {
  const living = new Set<WorkerChild>();
  let current: WorkerChild | undefined;
  let replacing: Promise<void> | undefined;
  let again = false;
  let stopping = false;
  let outdate = () => {};
  let crashTimer: NodeJS.Timeout | undefined;

  const dismiss = (child: WorkerChild | undefined) => child?.stop(stopLimitMs);
  const fate = () => (current ? 'The code before goes on.' : 'Save a file to try again.');
  const follow = async (child: WorkerChild): Promise<Start> => {
    const startedAt = performance.now();
    const outdated = new Promise<Start>((resolve) => {
      outdate = () => resolve('outdated');
    });
    const tell = () => say(`${describeSlow(child, performance.now() - startedAt)} ${fate()}`);
    const timer = setInterval(tell, slowStartMs);
    const started = child.ready.then((ready): Start => (ready ? 'ready' : 'failed'));
    return Promise.race([started, outdated]).finally(() => clearInterval(timer));
  };
  const watchOver = async (child: WorkerChild) => {
    const { code, signal } = await child.ended;
    living.delete(child);
    if (child !== current || stopping) return;
    current = undefined;
    say(`The worker ended with ${signal ?? `exit code ${code}`}. It is started again.`);
    // Else the next one is on its way.
    if (!replacing) crashTimer = setTimeout(() => void keeper.replace(), crashPauseMs);
  };
  const replaceOnce = async () => {
    const startedAt = performance.now();
    clearTimeout(crashTimer);
    const child = await start();
    living.add(child);
    void watchOver(child);
    // While the folders were read, a file may have been saved, or the end have been asked for.
    const result = again || stopping ? 'outdated' : await follow(child);
    if (result === 'outdated') return dismiss(child);
    if (result === 'failed') return say(`The worker could not start. ${fate()}`);
    const before = current;
    current = child;
    dismiss(before);
    // Its code is blocked, if that takes long.
    await Promise.race([before?.leaving, sleep(longestLeaveMs)]);
    say(`Ready in ${Math.round(performance.now() - startedAt)} ms.`);
    onReady();
  };
  const replaceAll = async () => {
    do {
      again = false;
      await replaceOnce().catch((error) => say(error instanceof Error ? error.message : String(error)));
    } while (again && !stopping);
  };
  const keeper: Keeper = {
    async replace() {
      if (stopping) return;
      again = true;
      outdate();
      replacing ??= replaceAll().finally(() => {
        replacing = undefined;
      });
      await replacing;
    },
    async stop() {
      stopping = true;
      clearTimeout(crashTimer);
      outdate();
      dismiss(current);
      await replacing;
      await Promise.all([...living].map(({ ended }) => ended));
    },
    kill() {
      for (const child of living) child.kill();
    },
  };
  return keeper;
}
