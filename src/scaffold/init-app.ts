import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IsletError } from '../errors.ts';
import { exampleFiles } from './app-example.ts';
import { paperFiles } from './app-papers.ts';
import { type IsletPackage, settingsFiles } from './app-settings.ts';
import { type Files, moveContents, withFolder, writeFiles } from './files.ts';

/** What may stand in a folder that counts as empty: it was just made a repository. */
const countsAsNothing = ['.git', '.DS_Store'];

/** Turns a folder's name into one that npm takes. */
function toPackageName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|[._-]+$/g, '')
    .slice(0, 100);
  // npm would refuse to install a package into itself.
  return name === '' || name === 'islet' || name === 'node_modules' ? 'my-workers' : name;
}

/** Says whether the folder is there; throws `E_FOLDER_NOT_EMPTY` when something is in it. */
async function checkEmpty(folder: string): Promise<boolean> {
  const fail = (seen: string) =>
    new IsletError(
      'E_FOLDER_NOT_EMPTY',
      `"${folder}" ${seen}. Nothing was written. Name a new folder: islet init my-workers.`,
    );
  try {
    const found = (await readdir(folder)).filter((name) => !countsAsNothing.includes(name));
    if (found.length === 0) return true;
    const [first, ...others] = found.sort();
    throw fail(`is not empty: it has "${first}"${others.length > 0 ? ` and ${others.length} more` : ''}`);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT') return false;
    throw code === 'ENOTDIR' ? fail('is a file') : error;
  }
}

/** The files of a new app. */
export function appFiles(name: string, islet: IsletPackage): Files {
  return { ...settingsFiles(name, islet), ...exampleFiles(), ...paperFiles(name) };
}

/**
 * Makes a complete app in a folder that is new or empty; all of it or nothing. Returns the paths that it wrote, from that
 * folder. Throws `E_FOLDER_NOT_EMPTY`.
 */
export async function initApp(target: string, islet: IsletPackage): Promise<string[]> {
  const folder = resolve(target);
  const isThere = await checkEmpty(folder);
  const files = appFiles(toPackageName(folder), islet);
  if (!isThere) await mkdir(dirname(folder), { recursive: true });
  // Beside a new folder, which the rename makes; inside one that is there, since the one around it may not be ours.
  const unfinished = join(isThere ? folder : dirname(folder), `.islet-init-${randomUUID()}`);
  await withFolder(unfinished, async () => {
    await writeFiles(unfinished, files);
    if (isThere) await moveContents(unfinished, folder);
    else await rename(unfinished, folder);
  });
  return Object.keys(files).sort();
}
