import { randomUUID } from 'node:crypto';
import { mkdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findFile } from '../../app/app-files.ts';
import { IsletError } from '../../errors.ts';
import { type Files, isTaken, withFolder, writeFiles } from './files.ts';

export interface NewFolder {
  /** The folder's path from the app's folder, for example "tasks/send-invoice". */
  path: string;
  files: Files;
}

/** Runs `move`; returns false when something has the name already. */
async function tryTo(move: () => Promise<unknown>): Promise<boolean> {
  try {
    await move();
    return true;
  } catch (error) {
    if (isTaken(error)) return false;
    throw error;
  }
}

/** Accepts a folder that somebody else has made if it has a manifest. Throws `E_NAME_TAKEN`. */
async function checkWhole({ path }: NewFolder, folder: string): Promise<void> {
  if (findFile(folder, 'manifest') !== undefined) return;
  const seen = `${path} exists, but has no manifest. Nothing was written.`;
  throw new IsletError('E_NAME_TAKEN', `${seen} Add the manifest or remove the folder, and try again.`);
}

/**
 * Puts a new folder into the app, and beside it a folder that it needs. Both are written elsewhere and then moved, so that
 * they appear whole or not at all, however many commands do so at once. Returns the folders that are new: none when the
 * name of the wanted one is taken; the needed one may exist already.
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
    // An empty folder claims the name: nothing finds a task in it yet.
    if (!(await tryTo(() => mkdir(placed(wanted))))) return [];
    let madeNeeded = false;
    try {
      madeNeeded = needed !== undefined && (await tryTo(() => rename(staged(needed), placed(needed))));
      if (needed && !madeNeeded) await checkWhole(needed, placed(needed));
      // The claim is removed first, because not every system moves a folder onto an empty one.
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
