import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { UnitOrder } from './messages.ts';

const bytesPerMb = 1_048_576;

/** Returns the megabytes that this unit takes; those of a thread are only what is its own: the rest is its worker's. */
export function memoryMb({ parent }: UnitOrder): number {
  if (parent !== undefined) return process.memoryUsage.rss() / bytesPerMb;
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return (heap + external) / bytesPerMb;
}

/** Says whether this unit takes too much, what a garbage collection frees not counted. */
export function takesTooMuch(order: UnitOrder): boolean {
  if (memoryMb(order) <= order.replaceAboveMb) return false;
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return memoryMb(order) > order.replaceAboveMb;
}
