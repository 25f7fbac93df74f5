import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isAlive, type ProcessRef, processRef } from './process-ref.ts';

/** After how long an unreadable lock file counts as abandoned: its owner writes it right after making it. */
const UNWRITTEN_LIMIT_MS = 5_000;

/**
 * Takes an exclusive lock file, even from a holder that died.
 *
 * @returns what gives the lock back, or undefined while a living process holds it.
 */
export function tryLock(file: string): (() => void) | undefined {
  if (!create(file)) {
    clearDeadLock(file);
    if (!create(file)) return undefined;
  }
  return () => rmSync(file, { force: true });
}

function create(file: string): boolean {
  try {
    const handle = openSync(file, 'wx', 0o600);
    writeFileSync(handle, JSON.stringify(processRef(process.pid)));
    closeSync(handle);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes a dead holder's lock. A second lock file guards this: otherwise two processes could both see the dead lock,
 * and the slower one would remove the lock that the faster one has just taken.
 */
function clearDeadLock(file: string): void {
  const guard = `${file}.takeover`;
  if (!create(guard)) {
    if (isDead(guard)) rmSync(guard, { force: true });
    return;
  }
  try {
    if (isDead(file)) rmSync(file, { force: true });
  } finally {
    rmSync(guard, { force: true });
  }
}

function isDead(file: string): boolean {
  try {
    return !isAlive(JSON.parse(readFileSync(file, 'utf8')) as ProcessRef);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    return Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > UNWRITTEN_LIMIT_MS;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
