/** A package of a built folder. */
export interface PackedPackage {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
  /** Why the package stands in the folder's node_modules; undefined when it is bundled. */
  readonly copiedBecause?: string;
}

/** What `islet build` has put into a folder, as `contents.json` there lists it. */
export interface Contents {
  readonly islet: string;
  readonly queue?: string;
  readonly producer?: string;
  readonly tasks?: readonly string[];
  /** The command that starts the program, in the folder. */
  readonly start: string;
  /** The system that the folder's native code is for; undefined when the folder runs everywhere. */
  readonly system?: string;
  /** What may be missing, for people. */
  readonly warnings?: readonly string[];
  readonly bytes: number;
  readonly packages: readonly PackedPackage[];
  /** All files but this list itself. */
  readonly files: readonly { readonly file: string; readonly bytes: number }[];
}

/** The file that lists what is in a built folder. Where it stands, Islet has made the folder. */
export const contentsFile = 'contents.json';

const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Lists files with their sizes, by name. */
export function listFiles(files: ReadonlyMap<string, Uint8Array>): Pick<Contents, 'files' | 'bytes'> {
  const sorted = [...files].map(([file, content]) => ({ file, bytes: content.length }));
  sorted.sort((a, b) => byName(a.file, b.file));
  return { files: sorted, bytes: sorted.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Sorts packages by name, and adds up those that are installed several times in one version. */
export function sortPackages(packages: readonly PackedPackage[]): PackedPackage[] {
  const merged = new Map<string, PackedPackage>();
  for (const each of packages) {
    const key = `${each.name} ${each.version} ${each.copiedBecause ?? ''}`;
    merged.set(key, { ...each, bytes: each.bytes + (merged.get(key)?.bytes ?? 0) });
  }
  return [...merged.values()].sort((a, b) => byName(a.name, b.name) || byName(a.version, b.version));
}

/** How many rows of a list are shown to people; the file has all of them. */
const mostRows = 15;

function showBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 999_950 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function toRows(rows: readonly (readonly [name: string, bytes: number, more: string])[]): string[] {
  const sorted = [...rows].sort((a, b) => b[1] - a[1] || byName(a[0], b[0]));
  const [shown, rest] = [sorted.slice(0, mostRows), sorted.slice(mostRows)];
  const restBytes = rest.reduce((sum, [, bytes]) => sum + bytes, 0);
  const all =
    rest.length > 0 ? [...shown, [`and ${rest.length} more`, restBytes, `see ${contentsFile}`] as const] : shown;
  const width = Math.max(0, ...all.map(([name]) => name.length));
  const sizes = all.map(([, bytes]) => showBytes(bytes));
  const sizeWidth = Math.max(0, ...sizes.map(({ length }) => length));
  return all.map(([name, , more], at) =>
    `  ${name.padEnd(width)}  ${(sizes[at] ?? '').padStart(sizeWidth)}  ${more}`.trimEnd(),
  );
}

/** Describes the contents for people: the largest first, and the files of a copied package as that package. */
export function describeContents(contents: Contents, folder: string): string {
  const what = contents.queue === undefined ? `producer ${contents.producer}` : `queue "${contents.queue}"`;
  const own = contents.files.filter(({ file }) => !file.startsWith('node_modules/'));
  const files = own.map(({ file, bytes }) => [file, bytes, ''] as const);
  const packages = contents.packages.map(
    ({ name, version, bytes, copiedBecause }) =>
      [`${name} ${version}`, bytes, copiedBecause === undefined ? 'bundled' : `copied: ${copiedBecause}`] as const,
  );
  return [
    `Built ${what} in ${folder}: ${showBytes(contents.bytes)}, ${contents.files.length} files`,
    ...toRows(files),
    'Packages in it:',
    ...toRows(packages),
    ...(contents.system === undefined ? [] : [`It runs on ${contents.system} only: it has native code.`]),
    ...(contents.warnings ?? []).map((each) => `\nWarning: ${each}`),
  ].join('\n');
}
