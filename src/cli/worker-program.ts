import { fileURLToPath } from 'node:url';

/** The file that a worker's process loads: what is measured as one imports it first, as a worker does. */
export const workerProgram = fileURLToPath(import.meta.url).replace(/worker-program(\.[jt]s)$/, 'folder-worker$1');
