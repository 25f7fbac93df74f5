import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { defaultProfile, launchCommand } from '../../launch-profiles.ts';
import { type Contents, contentsFile, listFiles, type PackedPackage, sortPackages } from './contents.ts';
import { type OutputFile, writeOutput } from './output-folder.ts';
import { failed, type Packed, pack, type Target, warnOfComputed } from './pack.ts';
import { packageOf, readPackage } from './packages.ts';
import { placePackages } from './place-packages.ts';
import type { TracedPackage } from './trace-packages.ts';

/** Returns the command that starts the program. A producer gets no launch profile: its author chooses the flags. */
function startOf({ about, name }: Target): string[] {
  const program = `${name}.js`;
  return about.queue === undefined ? ['node', program] : launchCommand(defaultProfile, program);
}

function listCopies(packages: readonly TracedPackage[]): Map<string, string> {
  const places = placePackages(packages);
  const copies = packages.flatMap(({ folder, files }) =>
    (places.get(folder) ?? []).flatMap((place) =>
      files.map((file): [string, string] => [`${place}/${file.replaceAll('\\', '/')}`, join(folder, file)]),
    ),
  );
  return new Map(copies);
}

function listFolder(path: string): string[] {
  if (!lstatSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Lists all files of settings: which of them is read is decided where the folder runs. */
function listConfig(root: string): string[] {
  const folder = join(root, 'config');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => join(folder, file));
}

function describePackages(
  { bundle: made, packages, because }: Packed,
  sizes: ReadonlyMap<string, number>,
): PackedPackage[] {
  const bundled = [...made.bundled].map(([folder, bytes]) => {
    const name = packageOf(join(folder, '_'))?.name ?? folder;
    return { name, version: readPackage({ folder }).version ?? '', bytes };
  });
  const copied = packages.map(({ name, version, folder }) => {
    const copiedBecause = because.get(name) ?? 'is used by a copied package';
    return { name, version, bytes: sizes.get(folder) ?? 0, copiedBecause };
  });
  return sortPackages([...bundled, ...copied]);
}

function readCopy(file: string): OutputFile {
  return { content: readFileSync(file), program: (lstatSync(file).mode & 0o100) !== 0 };
}

function packageJson({ about, name }: Target): Uint8Array {
  const title = about.queue === undefined ? 'producer' : `worker-${about.queue}`;
  return Buffer.from(
    `${JSON.stringify({ name: title, private: true, type: 'module', main: `${name}.js` }, null, 2)}\n`,
  );
}

/** Throws when something was to be included that is not there. */
function checkIncluded(included: readonly string[], packages: readonly TracedPackage[]): void {
  const isPacked = (name: string) => packages.some((each) => name === each.name || name.startsWith(`${each.name}/`));
  const lacking = included.find((name) => !isPacked(name));
  if (lacking === undefined) return;
  throw failed(`--include ${lacking}: neither a file of the app nor an installed package. Nothing was written.`);
}

/** Adds up the bytes of copied packages, by the packages' real folders. */
function sumCopies(copies: ReadonlyMap<string, string>, files: ReadonlyMap<string, OutputFile>): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const [to, from] of copies) {
    const folder = packageOf(from)?.folder ?? '';
    sizes.set(folder, (sizes.get(folder) ?? 0) + (files.get(to)?.content.length ?? 0));
  }
  return sizes;
}

/** Builds a program into a folder that runs with Node alone. Throws `E_BUILD_FAILED`; then nothing was written. */
export async function buildFolder(target: Target): Promise<Contents> {
  const { root, out, include } = target;
  const isPath = (name: string) => existsSync(resolve(root, name));
  const included = include.filter((name) => !isPath(name));
  const asked = include.filter(isPath).flatMap((name) => listFolder(resolve(root, name)));
  const packed = await pack(target, included, asked);
  checkIncluded(included, packed.packages);
  const copies = listCopies(packed.packages);
  const native = packed.bundle.modules.filter((file) => file.endsWith('.node'));
  const ofApp = [...packed.assets, ...native, ...asked, ...listConfig(root)];
  const files = new Map<string, OutputFile>([
    ...ofApp.map((file): [string, OutputFile] => [relative(root, file).replaceAll('\\', '/'), readCopy(file)]),
    ...[...copies].map(([to, from]): [string, OutputFile] => [to, readCopy(from)]),
    ...[...packed.bundle.files].map(([name, content]): [string, OutputFile] => [name, { content, program: false }]),
    ['package.json', { content: packageJson(target), program: false }],
  ]);
  const warnings = warnOfComputed(packed, target);
  const isNative = [...files.keys()].some((file) => file.endsWith('.node'));
  const contents: Contents = {
    islet: target.version,
    ...target.about,
    start: startOf(target).join(' '),
    ...(isNative ? { system: `${process.platform}-${process.arch}` } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
    packages: describePackages(packed, sumCopies(copies, files)),
    ...listFiles(new Map([...files].map(([name, { content }]) => [name, content]))),
  };
  files.set(contentsFile, { content: Buffer.from(`${JSON.stringify(contents, null, 2)}\n`), program: false });
  await writeOutput(out, files);
  return contents;
}
