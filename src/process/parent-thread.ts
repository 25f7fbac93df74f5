import { workerData } from 'node:worker_threads';

/** What the main thread hands to this one. */
export interface ParentThreadData {
  /** The id of the process that started this one. */
  parent: number;
  /** One word of shared memory for waiting, and one for the limit that holds then, in milliseconds. */
  memory: SharedArrayBuffer;
}

const { parent, memory } = workerData as ParentThreadData;
const words = new Int32Array(memory);

// An orphan gets another parent.
while (process.ppid === parent) Atomics.wait(words, 0, 0, 250);
Atomics.wait(words, 0, 0, Atomics.load(words, 1));
process.kill(process.pid, 'SIGKILL');
