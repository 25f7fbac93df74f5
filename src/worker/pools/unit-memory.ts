import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { UnitOrder } from './messages.ts';

const bytesPerMb = 1_048_576;

/** What a unit takes, in megabytes; of a thread only what is its own: the rest is its worker's. */
export function memoryMb({ parent }: UnitOrder): number {
  if (parent !== undefined) return process.memoryUsage.rss() / bytesPerMb;
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return (heap + external) / bytesPerMb;
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Whether a unit takes too much, what the next collection would free not counted. */
export function takesTooMuch(order: UnitOrder): boolean {
  if (memoryMb(order) <= order.replaceAboveMb) return false;
  collectGarbage();
  return memoryMb(order) > order.replaceAboveMb;
}
