import { setPriority } from 'node:os';
import type { UnitOrder } from './messages.ts';

/** A third of the share of what runs beside it, and nothing less when there is a core for each. */
const niceness = 5;

/**
 * Lets the worker's own loop, and the machine's other processes, go first where there are fewer cores than work. On Linux
 * it holds for the thread that calls it, elsewhere for its whole process: then only for a unit that is one itself.
 */
export function goSecond({ parent }: UnitOrder): void {
  if (parent === undefined && process.platform !== 'linux') return;
  try {
    setPriority(niceness);
  } catch {
    // Not allowed here: then it goes beside.
  }
}
