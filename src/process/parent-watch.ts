import { Worker } from 'node:worker_threads';

// The thread is small, and loads nothing that is preloaded for the app.
const smallThread = {
  name: 'islet-parent',
  argv: [],
  env: {},
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 4, stackSizeMb: 1 },
};

/** More than an idle main thread takes to end the process by itself. */
const idleLimitMs = 1_000;

/**
 * Ends this process by SIGKILL soon after its parent has died, if it has not ended by itself: an import that computes for
 * ever may block it. `allow` says how long it may outlive its parent, which may be gone already, in milliseconds.
 */
export function watchParent(parent: number) {
  const memory = new SharedArrayBuffer(8);
  const words = new Int32Array(memory);
  const allow = (ms: number) => void Atomics.store(words, 1, ms);
  allow(idleLimitMs);
  const options = { ...smallThread, workerData: { parent, memory } };
  const thread = new Worker(new URL('./parent-thread.js', import.meta.url), options);
  // The thread is no reason for the process to live, and a worker that runs without it is better than none.
  thread.on('error', () => {}).unref();
  return { allow, close: () => thread.terminate() };
}
