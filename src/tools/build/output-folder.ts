import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
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

/** Refuses a folder that holds something else than an earlier build. Throws `E_FOLDER_NOT_EMPTY`. */
export function checkOutputFolder(root: string, folder: string): void {
  const refuse = (seen: string) =>
    new IsletError('E_FOLDER_NOT_EMPTY', `${seen} Nothing was built. Name a new or empty folder with --out.`);
  const inside = relative(resolve(folder), resolve(root));
  // Otherwise the built folder would be part of its own source.
  if (inside === '' || !inside.startsWith('..')) throw refuse(`${folder} holds the app itself.`);
  if (!existsSync(folder)) return;
  if (!lstatSync(folder).isDirectory()) throw refuse(`${folder} is no folder.`);
  if (readdirSync(folder).length > 0 && !readEarlier(folder)) {
    throw refuse(`${folder} is not empty, and not an earlier build: it has no ${contentsFile} of Islet's.`);
  }
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
  const files = readEarlier(folder)?.files ?? [];
  const inside = files.map(({ file }) => join(folder, file)).filter((file) => !relative(folder, file).startsWith('..'));
  for (const file of [...inside, join(folder, contentsFile)]) await rm(file, { force: true });
  for (const parent of new Set(inside.map((file) => dirname(file)))) await removeEmpty(parent, folder);
}

export interface OutputFile {
  readonly content: Uint8Array;
  /** Whether the file may be executed. */
  readonly program: boolean;
}

/** Writes a built folder in place of an earlier one. */
export async function writeOutput(folder: string, files: ReadonlyMap<string, OutputFile>): Promise<void> {
  await clear(folder);
  for (const [name, { content, program }] of files) {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { mode: program ? 0o755 : 0o644 });
  }
}
