import { workerData } from 'node:worker_threads';

// In a thread of a process unit, since its main thread may compute without end: a worker that was killed could not
// end it any more. A process without a parent gets another one, so the number changes.
const cell = new Int32Array(new SharedArrayBuffer(4));
const lookMs = 500;

while (process.ppid === workerData) Atomics.wait(cell, 0, 0, lookMs);
process.kill(process.pid, 'SIGKILL');
