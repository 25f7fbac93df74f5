import { IsletError } from '../../errors.ts';
import { watchApart } from './import-apart.ts';
import type { Imported, ModuleToImport } from './import-module.ts';

const bytesPerMb = 1_048_576;

/** Converts bytes to megabytes, rounded to a tenth. */
export const toMb = (bytes: number) => Math.round((bytes / bytesPerMb) * 10) / 10;

/** Returns the middle one of an odd number of values. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Within this share of a limit one measurement decides nothing, since two of them differ by a few per cent. */
const nearShare = 0.1;

const isNear = (rssBytes: number, limitMb: number) =>
  isOver(rssBytes, limitMb * (1 - nearShare)) && !isOver(rssBytes, limitMb * (1 + nearShare));

/** Measures once. An import that fails only here is an error too: a limit that nobody could check does not hold. */
async function weigh(modules: ModuleToImport[], cwd: string) {
  const { results, seen } = await watchApart(modules, cwd, 'memory');
  if (seen) return { results, rssBytes: seen.rssBytes };
  throw importFailed(results);
}

/** Returns the error for a process that did not get to the end of its imports, so that nothing was measured. */
export function importFailed(results: readonly Imported[]): IsletError {
  const said = results.flatMap((each) => (each.ok ? [] : [each.message.replace(/(?<![.!?])$/, '.')])).join(' ');
  const what = `A process that imports the app's code ended too early: ${said}`;
  return new IsletError('E_FOOTPRINT_FAILED', `${what} Nothing was measured. "islet check" lists all that is wrong.`);
}

/**
 * Measures the resident memory of a process with these modules, to compare it with a limit: once, or near the limit three
 * times, for the median. The results are those of the first process.
 */
export async function weighFor(limitMb: number, modules: ModuleToImport[], cwd: string) {
  const first = await weigh(modules, cwd);
  if (!isNear(first.rssBytes, limitMb)) return { ...first, runs: 1 };
  const others = [await weigh(modules, cwd), await weigh(modules, cwd)];
  return { ...first, rssBytes: median([first, ...others].map(({ rssBytes }) => rssBytes)), runs: 3 };
}

export const isOver = (rssBytes: number, limitMb: number) => rssBytes > limitMb * bytesPerMb;

/** Returns by how much the resident memory grew with the import of each module. */
export function growthOf(results: readonly Imported[]): number[] {
  const sizes = results.map((result) => (result.ok ? result.rssBytes : 0));
  return sizes.map((size, index) => Math.max(0, size - (sizes[index - 1] ?? size)));
}
