import { IsletError } from '../errors.ts';
import type { Surroundings } from './main.ts';

interface Need {
  /** What needs the packages, as the subject of a sentence. */
  who: string;
  /** What was not done, a whole sentence. */
  undone: string;
  /** How to do without the packages, where that is possible, a whole sentence. */
  instead?: string;
}

/** Says whether a package is installed that only some commands load. */
export function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Returns the command that installs optional packages, in versions that go with this Islet. */
export function installCommand(names: readonly string[], { islet }: Pick<Surroundings, 'islet'>): string {
  const wanted = names.map((name) => `${name}@${islet.peerDependencies[name]}`);
  return `npm install --save-dev ${wanted.join(' ')}`;
}

/** Throws `E_TOOL_MISSING` when one of these packages is not installed. */
export function needPackages(
  names: readonly string[],
  { who, undone, instead }: Need,
  surroundings: Pick<Surroundings, 'islet'>,
): void {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  const shown = missing.map((name) => `"${name}"`).join(' and ');
  const which = missing.length === 1 ? `the package ${shown}, which is` : `the packages ${shown}, which are`;
  const advice = instead === undefined ? 'Run' : `${instead} Or run`;
  const message = `${who} needs ${which} not installed. ${undone} ${advice} "${installCommand(missing, surroundings)}".`;
  throw new IsletError('E_TOOL_MISSING', message);
}
