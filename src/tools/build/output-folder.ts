import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { IsletError } from '../../errors.ts';
import { type Contents, contentsFile } from './contents.ts';

/** Reads what an earlier build has put into a folder; undefined when there was none. */
function readEarlier(folder: string): Pick<Contents, 'files'> | undefined {
  try {
    const contents = JSON.parse(readFileSync(join(folder, contentsFile), 'utf8')) as Partial<Contents>;
    return typeof contents.islet === 'string' && Array.isArray(contents.files) ? (contents as Contents) : undefined;
  } catch {
    return undefined;
  }
}

const refuse = (seen: string) =>
  new IsletError('E_FOLDER_NOT_EMPTY', `${seen} Nothing was built. Name a new or empty folder with --out.`);

/** Returns the paths of the files that an earlier build has put into a folder, whatever else its list names. */
function listEarlier(folder: string): string[] {
  const named = readEarlier(folder)?.files.map(({ file }) => join(folder, String(file))) ?? [];
  return named.filter((file) => file.startsWith(folder + sep));
}

/** Refuses files below a link, which would be written and removed where it leads to. Throws `E_FOLDER_NOT_EMPTY`. */
function checkLinks(folder: string, files: Iterable<string>): void {
  const parents = new Set<string>();
  for (const file of files) {
    for (let at = dirname(file); at !== folder && !parents.has(at); at = dirname(at)) parents.add(at);
  }
  for (const parent of parents) {
    const isLink = lstatSync(parent, { throwIfNoEntry: false })?.isSymbolicLink();
    if (isLink) throw refuse(`${parent} is a link, and a build stays in its folder.`);
  }
}

/** Refuses a folder that holds something else than an earlier build. Throws `E_FOLDER_NOT_EMPTY`. */
export function checkOutputFolder(root: string, folder: string): void {
  const inside = relative(resolve(folder), resolve(root));
  // Otherwise the built folder would be part of its own source.
  if (inside === '' || !inside.startsWith('..')) throw refuse(`${folder} holds the app itself.`);
  if (!existsSync(folder)) return;
  if (!lstatSync(folder).isDirectory()) throw refuse(`${folder} is not a folder.`);
  if (readdirSync(folder).length > 0 && !readEarlier(folder)) {
    throw refuse(`${folder} is not empty, and not an earlier build: it has no ${contentsFile} of Islet's.`);
  }
  checkLinks(folder, listEarlier(folder));
}

async function removeEmpty(folder: string, limit: string): Promise<void> {
  for (let at = folder; at !== limit; at = dirname(at)) {
    const entries = await readdir(at).catch(() => undefined);
    if (entries?.length !== 0) return;
    await rmdir(at);
  }
}

/** Removes what an earlier build has written and nothing else: a worker that ran there may have left its work. */
async function clear(folder: string): Promise<void> {
  const files = listEarlier(folder);
  for (const file of [...files, join(folder, contentsFile)]) await rm(file, { force: true });
  for (const parent of new Set(files.map((file) => dirname(file)))) await removeEmpty(parent, folder);
}

export interface OutputFile {
  readonly content: Uint8Array;
  /** Whether the file may be executed. */
  readonly program: boolean;
}

/** Writes a built folder in place of an earlier one. Throws `E_FOLDER_NOT_EMPTY`, and then changes nothing. */
export async function writeOutput(folder: string, files: ReadonlyMap<string, OutputFile>): Promise<void> {
  const placed = [...files].map(([name, file]) => ({ path: join(folder, name), ...file }));
  checkLinks(folder, [...listEarlier(folder), ...placed.map(({ path }) => path)]);
  await clear(folder);
  for (const { path, content, program } of placed) {
    await mkdir(dirname(path), { recursive: true });
    // A link in its place is removed, not followed.
    await rm(path, { force: true });
    await writeFile(path, content, { mode: program ? 0o755 : 0o644, flag: 'wx' });
  }
}
