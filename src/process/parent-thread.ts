import { workerData } from 'node:worker_threads';
import { killSelf } from './kill-group.ts';

// The memory has one word for waiting, and one for how long this process may outlive its parent, in milliseconds.
const { parent, memory } = workerData as { parent: number; memory: SharedArrayBuffer };
const words = new Int32Array(memory);

// An orphan gets another parent.
while (process.ppid === parent) Atomics.wait(words, 0, 0, 250);
Atomics.wait(words, 0, 0, Atomics.load(words, 1));
killSelf();
