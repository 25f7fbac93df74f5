import { fileURLToPath } from 'node:url';

/** The file that imports all of Islet that a worker's process loads: what is measured as one imports it first. */
export const workerProgram = fileURLToPath(import.meta.url).replace(/worker-program(\.[jt]s)$/, 'loaded-worker$1');

/** The same for a process of a pool. */
export const unitProgram = workerProgram.replace(/loaded-worker(\.[jt]s)$/, 'run-unit$1');
