import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** The texts of files that are to be written, by their paths from the folder. */
export type Files = Readonly<Record<string, string>>;

/** The codes of errors by which a system says that something has the name of a new folder already. */
const takenCodes = ['EEXIST', 'ENOTEMPTY', 'ENOTDIR'];

export const isTaken = (error: unknown) => takenCodes.includes((error as { code?: string }).code ?? '');

/** Writes all files into a folder, and makes that folder. */
export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { flag: 'wx' });
  }
}

/** Moves what is in one folder into another; when something cannot be moved, all that was moved is moved back. */
export async function moveContents(from: string, to: string): Promise<void> {
  const moved: string[] = [];
  try {
    for (const name of await readdir(from)) {
      await rename(join(from, name), join(to, name));
      moved.push(name);
    }
  } catch (error) {
    for (const name of moved) await rename(join(to, name), join(from, name));
    throw error;
  }
}

/** Runs `use` and removes the folder after it, whatever happens. */
export async function withFolder<T>(folder: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
