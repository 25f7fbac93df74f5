import { randomUUID } from 'node:crypto';
import { mkdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findFile } from '../../app/app-files.ts';
import { IsletError } from '../../errors.ts';
import { type Files, isTaken, withFolder, writeFiles } from './files.ts';

export interface NewFolder {
  /** From the app's folder, for example "tasks/send-invoice". */
  path: string;
  files: Files;
}

/** Runs `move`; false when something has the name already. */
async function tryTo(move: () => Promise<unknown>): Promise<boolean> {
  try {
    await move();
    return true;
  } catch (error) {
    if (isTaken(error)) return false;
    throw error;
  }
}

/** Somebody else's folder of that name will do if it is what is needed. Throws `E_NAME_TAKEN`. */
async function checkWhole({ path }: NewFolder, folder: string): Promise<void> {
  if (findFile(folder, 'manifest') !== undefined) return;
  const seen = `${path} is there, and has no manifest. Nothing was written.`;
  throw new IsletError('E_NAME_TAKEN', `${seen} Complete it, or remove it, and try again.`);
}

/**
 * Puts a new folder into the app, and beside it one that it needs, whole or not at all, however many do so at once:
 * written elsewhere and moved into place. Returns the paths of the folders that are new: none when somebody has the
 * first one's name; the second may be there already.
 */
export async function placeFolders(root: string, wanted: NewFolder, needed?: NewFolder): Promise<NewFolder[]> {
  const islet = join(root, '.islet');
  await mkdir(islet, { recursive: true, mode: 0o700 });
  const staging = join(islet, `new-${randomUUID()}`);
  const staged = ({ path }: NewFolder) => join(staging, path);
  const placed = ({ path }: NewFolder) => join(root, path);
  const folders = needed ? [needed, wanted] : [wanted];
  return withFolder(staging, async () => {
    for (const folder of folders) {
      await writeFiles(staged(folder), folder.files);
      await mkdir(dirname(placed(folder)), { recursive: true });
    }
    // An empty folder of that name is the claim to it: nothing finds a task in it yet.
    if (!(await tryTo(() => mkdir(placed(wanted))))) return [];
    let madeNeeded = false;
    try {
      madeNeeded = needed !== undefined && (await tryTo(() => rename(staged(needed), placed(needed))));
      if (needed && !madeNeeded) await checkWhole(needed, placed(needed));
      // Removed first, because not every system moves a folder onto an empty one.
      await rmdir(placed(wanted));
      await rename(staged(wanted), placed(wanted));
      return folders.filter((folder) => folder === wanted || madeNeeded);
    } catch (error) {
      await rmdir(placed(wanted)).catch(() => {});
      if (needed && madeNeeded) await rename(placed(needed), staged(needed)).catch(() => {});
      if (isTaken(error)) return [];
      throw error;
    }
  });
}
