import { fileURLToPath } from 'node:url';

/** The file that holds the command of a worker: what is measured as one imports it first, as a worker does. */
export const workerProgram = fileURLToPath(import.meta.url).replace(/worker-program(\.[jt]s)$/, 'worker-command$1');

/** The same for a process of a pool. */
export const unitProgram = workerProgram.replace(/worker-command(\.[jt]s)$/, 'run-unit$1');
