import { watchApart } from './import-apart.ts';
import type { ModuleToImport } from './import-module.ts';

const bytesPerMb = 1_048_576;

/** Megabytes, to a tenth. */
export const toMb = (bytes: number) => Math.round((bytes / bytesPerMb) * 10) / 10;

/** The middle one of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Two runs differ by a few per cent: this close to a limit, as a share of it, one run decides nothing. */
const nearShare = 0.1;

/**
 * The resident memory, in bytes, of a process with these modules, for a comparison with a limit: one measurement where
 * that is far from the limit, else the median of three.
 */
export async function weighFor(limitMb: number, first: number, modules: ModuleToImport[], cwd: string) {
  const limit = limitMb * bytesPerMb;
  if (Math.abs(first - limit) > limit * nearShare) return { rssBytes: first, runs: 1 };
  const more = [await watchApart(modules, cwd, 'memory'), await watchApart(modules, cwd, 'memory')];
  const all = [first, ...more.flatMap(({ seen }) => seen?.rssBytes ?? [])];
  return { rssBytes: median(all), runs: all.length };
}

export const isOver = (rssBytes: number, limitMb: number) => rssBytes > limitMb * bytesPerMb;
