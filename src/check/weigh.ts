import { watchApart } from './import-apart.ts';
import type { Imported, ModuleToImport } from './import-module.ts';

const bytesPerMb = 1_048_576;

/** Megabytes, to a tenth. */
export const toMb = (bytes: number) => Math.round((bytes / bytesPerMb) * 10) / 10;

/** The middle one of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Two runs differ by a few per cent: one alone is not believed that says "too much", or just below it. */
const nearShare = 0.05;

/**
 * The resident memory, in bytes, of a process with these modules, for a comparison with a limit: one measurement, where
 * it is well below the limit, else the median of three.
 */
export async function weighFor(limitMb: number, modules: ModuleToImport[], cwd: string) {
  const weigh = async () => (await watchApart(modules, cwd, 'memory')).seen?.rssBytes ?? 0;
  const first = await weigh();
  if (!isOver(first, limitMb * (1 - nearShare))) return { rssBytes: first, runs: 1 };
  return { rssBytes: median([first, await weigh(), await weigh()]), runs: 3 };
}

export const isOver = (rssBytes: number, limitMb: number) => rssBytes > limitMb * bytesPerMb;

/** What the resident memory grew by with the import of each module. */
export function growthOf(results: readonly Imported[]): number[] {
  const sizes = results.map((result) => (result.ok ? result.rssBytes : 0));
  return sizes.map((size, index) => Math.max(0, size - (sizes[index - 1] ?? size)));
}
