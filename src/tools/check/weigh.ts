import { IsletError } from '../../errors.ts';
import { watchApart } from './import-apart.ts';
import type { Imported, ModuleToImport } from './import-module.ts';

const bytesPerMb = 1_048_576;

/** Megabytes, to a tenth. */
export const toMb = (bytes: number) => Math.round((bytes / bytesPerMb) * 10) / 10;

/** The middle one of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Two runs differ by a few per cent: this close to a limit, as a share of it, one run decides nothing. */
const nearShare = 0.1;

const isNear = (rssBytes: number, limitMb: number) =>
  isOver(rssBytes, limitMb * (1 - nearShare)) && !isOver(rssBytes, limitMb * (1 + nearShare));

/** What fails in no other process may fail in one that has Islet's own code, too: a limit is not kept unseen. */
async function weigh(modules: ModuleToImport[], cwd: string) {
  const { results, seen } = await watchApart(modules, cwd, 'memory');
  if (seen) return { results, rssBytes: seen.rssBytes };
  throw importFailed(results);
}

/** Why nothing could be measured, where a process did not get to the end of its imports. */
export function importFailed(results: readonly Imported[]): IsletError {
  const said = results.flatMap((each) => (each.ok ? [] : [each.message.replace(/(?<![.!?])$/, '.')])).join(' ');
  const what = `A process that imports the app's code did not get to its end: ${said}`;
  return new IsletError('E_FOOTPRINT_FAILED', `${what} Nothing was measured. "islet check" lists all that is wrong.`);
}

/**
 * The resident memory, in bytes, of a process with these modules, for a comparison with a limit: one measurement, or near
 * the limit the median of three. The results are those of the first.
 */
export async function weighFor(limitMb: number, modules: ModuleToImport[], cwd: string) {
  const first = await weigh(modules, cwd);
  if (!isNear(first.rssBytes, limitMb)) return { ...first, runs: 1 };
  const others = [await weigh(modules, cwd), await weigh(modules, cwd)];
  return { ...first, rssBytes: median([first, ...others].map(({ rssBytes }) => rssBytes)), runs: 3 };
}

export const isOver = (rssBytes: number, limitMb: number) => rssBytes > limitMb * bytesPerMb;

/** What the resident memory grew by with the import of each module. */
export function growthOf(results: readonly Imported[]): number[] {
  const sizes = results.map((result) => (result.ok ? result.rssBytes : 0));
  return sizes.map((size, index) => Math.max(0, size - (sizes[index - 1] ?? size)));
}
