import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IsletError } from '../../errors.ts';
import { type Files, isTaken, moveContents, withFolder, writeFiles } from './files.ts';
import { fillFiles, listTemplates } from './template.ts';

/** A payload that a new app's task takes, as JSON for a shell. */
export const examplePayload = `'{"userId":"1","email":"ada@example.com"}'`;

/** Entries of a folder that still counts as empty, since it was only just made a repository. */
const countsAsNothing = ['.git', '.DS_Store'];
/** The folder that claims an existing folder: of several commands that fill that at once, one goes on. */
const claimName = '.islet-init';

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

function notEmpty(folder: string, seen: string): IsletError {
  const what = `"${folder}" ${seen}. Nothing was written. Name a new folder: islet init my-workers.`;
  return new IsletError('E_FOLDER_NOT_EMPTY', what);
}

/** Says whether the folder exists. Throws `E_FOLDER_NOT_EMPTY` when it has something else than `ours` in it. */
async function checkEmpty(folder: string, ours: readonly string[] = []): Promise<boolean> {
  try {
    const found = (await readdir(folder)).filter((name) => ![...countsAsNothing, ...ours].includes(name));
    if (found.length === 0) return true;
    const [first, ...others] = found.sort();
    const more = others.length > 0 ? ` and ${others.length} more` : '';
    throw notEmpty(folder, `is not empty: it has "${first}"${more}`);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT') return false;
    throw code === 'ENOTDIR' ? notEmpty(folder, 'is a file') : error;
  }
}

/** Waits for what claims the folder. Throws `E_FOLDER_NOT_EMPTY` when another command was faster. */
async function claim(folder: string, take: Promise<unknown>): Promise<void> {
  try {
    await take;
  } catch (error) {
    throw isTaken(error) ? notEmpty(folder, 'is being filled by another "islet init"') : error;
  }
}

/** Returns the files of a new app, which asks for the given version of Islet. */
export function appFiles(name: string, version: string): Files {
  return fillFiles('app', listTemplates('app'), { APP: name, ISLET: version });
}

/**
 * Makes a complete app in a new or empty folder, or nothing at all. Returns the paths of its files, from that folder.
 * Throws `E_FOLDER_NOT_EMPTY`.
 */
export async function initApp(target: string, version: string): Promise<string[]> {
  const folder = resolve(target);
  const isThere = await checkEmpty(folder);
  const files = appFiles(toPackageName(folder), version);
  if (!isThere) await mkdir(dirname(folder), { recursive: true });
  // A new folder is written beside its place and then renamed. For an existing one, the folder around may not be ours.
  const unfinished = isThere ? join(folder, claimName) : join(dirname(folder), `${claimName}-${randomUUID()}`);
  await claim(folder, mkdir(unfinished));
  await withFolder(unfinished, async () => {
    if (isThere) await checkEmpty(folder, [claimName]);
    await writeFiles(unfinished, files);
    if (isThere) await moveContents(unfinished, folder);
    else await claim(folder, rename(unfinished, folder));
  });
  return Object.keys(files).sort();
}
