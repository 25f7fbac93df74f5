import { setPriority } from 'node:os';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { UnitOrder } from './messages.ts';

const bytesPerMb = 1_048_576;
/**
 * With this niceness a unit gets a third of the CPU share of what runs beside it, and a whole core where there is one
 * for each.
 */
const niceness = 5;

/** Returns the megabytes that this unit takes; those of a thread are only what is its own: the rest is its worker's. */
export function memoryMb({ parent }: UnitOrder): number {
  if (parent !== undefined) return process.memoryUsage.rss() / bytesPerMb;
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return (heap + external) / bytesPerMb;
}

/** Tells whether this unit takes too much memory even after a garbage collection. */
export function takesTooMuch(order: UnitOrder): boolean {
  if (memoryMb(order) <= order.replaceAboveMb) return false;
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return memoryMb(order) > order.replaceAboveMb;
}

/**
 * Lets the worker's own loop, and the machine's other processes, go first where there are fewer cores than work. Outside
 * Linux the priority is that of the whole process, so only units that are processes lower theirs.
 */
export function lowerPriority({ parent }: UnitOrder): void {
  if (parent === undefined && process.platform !== 'linux') return;
  try {
    setPriority(niceness);
  } catch {
    // Where this is not allowed, the unit runs at the priority of its worker.
  }
}
