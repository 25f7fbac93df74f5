import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IsletError } from '../../errors.ts';
import { defaultProfile, launchCommand } from '../../launch-profiles.ts';
import { type Bundle, bundle } from './bundle.ts';
import { type Contents, contentsFile, listFiles, type PackedPackage, sortPackages } from './contents.ts';
import { type OutputFile, writeOutput } from './output-folder.ts';
import { packageOf, readPackage } from './packages.ts';
import { findClash, placePackages } from './place-packages.ts';
import { findAssets } from './trace-assets.ts';
import { type TracedPackage, tracePackages } from './trace-packages.ts';

/** One program that is to be built into a folder. */
export interface Target {
  readonly root: string;
  readonly out: string;
  /** The part of the list of contents that says what the program is. */
  readonly about: Pick<Contents, 'queue' | 'producer' | 'tasks'>;
  readonly name: string;
  readonly entry: string;
  /** The text of the program for the threads and processes of a worker's pools, if it has any. */
  readonly unitEntry?: string | undefined;
  /** Islet's own modules that are started as threads, by the names of their files in the folder. */
  readonly threads: Readonly<Record<string, string>>;
  /** Files, folders and packages that no code names. */
  readonly include: readonly string[];
  readonly version: string;
}

/** How often a bundle is made at most: each turn takes at least one more package out of it. */
const mostTurns = 50;

const here = fileURLToPath(import.meta.url);
/** The folder of Islet's own modules, and how their names end: .ts in the sources, .js where they are compiled. */
export const islet = { folder: resolve(dirname(here), '../..'), ending: here.slice(-3) };

/** Returns the command that starts the program. A producer gets no launch profile: its author chooses the flags. */
function startOf({ about, name }: Target): string[] {
  const program = `${name}.js`;
  return about.queue === undefined ? ['node', program] : launchCommand(defaultProfile, program);
}

interface Packed {
  bundle: Bundle;
  packages: TracedPackage[];
  because: ReadonlyMap<string, string>;
}

async function pack(target: Target, included: readonly string[]): Promise<Packed> {
  const { root, name, entry, unitEntry } = target;
  const because = new Map<string, string>(included.map((each) => [each, 'asked for by --include']));
  const whole = new Set<string>(included);
  const asked = included.map((specifier) => ({ specifier, folder: root, kind: 'import' as const }));
  for (let turn = 0; turn < mostTurns; turn++) {
    const further = target.threads;
    const made = await bundle({ root, name, entry, unitEntry, islet, further, copied: because });
    const unknown = [...made.toCopy].filter(([each]) => !because.has(each));
    for (const [each, reason] of unknown) because.set(each, reason);
    for (const each of made.computing) whole.add(each);
    if (unknown.length > 0) continue;
    const packages = await tracePackages([...made.uses, ...asked], whole);
    // A package must not be both bundled and copied: its two copies would not share their state.
    const doubles = packages.map((each) => each.name).filter((each) => made.shared.has(each));
    for (const each of doubles) because.set(each, 'is used by a copied package too');
    if (doubles.length === 0) return { bundle: made, packages, because };
  }
  throw new IsletError(
    'E_BUILD_FAILED',
    'The build failed: no division into bundled and copied packages was found. Nothing was written.',
  );
}

function listCopies(packages: readonly TracedPackage[]): Map<string, string> {
  const clash = findClash(packages);
  if (clash !== undefined) {
    const ways = 'Install one version of it.';
    throw new IsletError(
      'E_BUILD_FAILED',
      `Two versions of "${clash}" would have to be copied. Nothing was written. ${ways}`,
    );
  }
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

/** Builds a program into a folder that runs with Node alone. Throws `E_BUILD_FAILED`; then nothing was written. */
export async function buildFolder(target: Target): Promise<Contents> {
  const { root, out, include } = target;
  const isPath = (name: string) => existsSync(resolve(root, name));
  const packed = await pack(
    target,
    include.filter((name) => !isPath(name)),
  );
  const copies = listCopies(packed.packages);
  const found = packed.packages.map((each) => each.name);
  const lacking = include.find(
    (name) => !isPath(name) && !found.some((each) => name === each || name.startsWith(`${each}/`)),
  );
  if (lacking !== undefined) {
    throw new IsletError(
      'E_BUILD_FAILED',
      `--include ${lacking}: neither a file of the app nor an installed package. Nothing was written.`,
    );
  }
  const ofApp = [...include.filter(isPath).flatMap((name) => listFolder(resolve(root, name))), ...listConfig(root)];
  const assets = await findAssets(packed.bundle.modules, root);
  const files = new Map<string, OutputFile>([
    ...assets.map((file): [string, OutputFile] => [relative(root, file).replaceAll('\\', '/'), readCopy(file)]),
    ...ofApp.map((file): [string, OutputFile] => [relative(root, file).replaceAll('\\', '/'), readCopy(file)]),
    ...[...copies].map(([to, from]): [string, OutputFile] => [to, readCopy(from)]),
    ...[...packed.bundle.files].map(([name, content]): [string, OutputFile] => [name, { content, program: false }]),
    ['package.json', { content: packageJson(target), program: false }],
  ]);
  const sizes = new Map<string, number>();
  for (const [to, from] of copies) {
    const folder = packageOf(from)?.folder ?? '';
    sizes.set(folder, (sizes.get(folder) ?? 0) + (files.get(to)?.content.length ?? 0));
  }
  const native = [...copies.keys()].some((file) => file.endsWith('.node'));
  const contents: Contents = {
    islet: target.version,
    ...target.about,
    start: startOf(target).join(' '),
    ...(native ? { system: `${process.platform}-${process.arch}` } : {}),
    packages: describePackages(packed, sizes),
    ...listFiles(new Map([...files].map(([name, { content }]) => [name, content]))),
  };
  files.set(contentsFile, { content: Buffer.from(`${JSON.stringify(contents, null, 2)}\n`), program: false });
  await writeOutput(out, files);
  return contents;
}
