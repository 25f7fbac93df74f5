import { Worker } from 'node:worker_threads';
import type { ParentThreadData } from './parent-thread.ts';

/** Watches from a thread whether the parent of this process lives. */
export interface ParentWatch {
  /** Without its parent, this process may live so long from now on, in milliseconds. */
  allow(ms: number): void;
  close(): Promise<void>;
}

// Small, and nothing in it that is preloaded for the app.
const smallThread = {
  name: 'islet-parent',
  argv: [],
  env: {},
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 4, stackSizeMb: 1 },
};

/** What an idle main thread takes to end the process by itself, and more. */
const idleLimitMs = 1_000;

/**
 * Ends this process by SIGKILL soon after its parent has died, if it has not ended by itself by then: its main thread may
 * be blocked, by an import that computes for ever. `parent` is told by the parent, which may be gone already.
 */
export function watchParent(parent: number): ParentWatch {
  const memory = new SharedArrayBuffer(8);
  const words = new Int32Array(memory);
  const allow = (ms: number) => void Atomics.store(words, 1, ms);
  allow(idleLimitMs);
  const workerData: ParentThreadData = { parent, memory };
  const thread = new Worker(new URL('./parent-thread.js', import.meta.url), { ...smallThread, workerData });
  // It is no reason to live, and a worker that runs without it is better than none.
  thread.on('error', () => {}).unref();
  return {
    allow,
    async close() {
      await thread.terminate();
    },
  };
}
