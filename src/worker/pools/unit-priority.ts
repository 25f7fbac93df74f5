import { setPriority } from 'node:os';
import type { UnitOrder } from './messages.ts';

/** Leaves a unit a third of the share of what runs beside it, and no less than all when there is a core for each. */
const niceness = 5;

/**
 * Lets the worker's own loop, and the machine's other processes, go first where there are fewer cores than work. On Linux
 * the priority is that of the calling thread, elsewhere that of its whole process: then only units that are processes
 * lower theirs.
 */
export function lowerPriority({ parent }: UnitOrder): void {
  if (parent === undefined && process.platform !== 'linux') return;
  try {
    setPriority(niceness);
  } catch {
    // Where this is not allowed, the unit runs at the priority of its worker.
  }
}
