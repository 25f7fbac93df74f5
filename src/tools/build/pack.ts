import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IsletError } from '../../errors.ts';
import { type Bundle, bundle } from './bundle.ts';
import type { Contents } from './contents.ts';
import type { ComputedImport } from './judge-module.ts';
import { packageOf, readPackage } from './packages.ts';
import { findClash } from './place-packages.ts';
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
  /** Packages that are left out, and files of the app whose computed imports are not followed. */
  readonly exclude: readonly string[];
  readonly version: string;
}

/** How often a bundle is made at most: each turn takes at least one more package out of it. */
const mostTurns = 50;

const here = fileURLToPath(import.meta.url);
/** The folder of Islet's own modules, and how their names end: .ts in the sources, .js where they are compiled. */
export const islet = { folder: resolve(dirname(here), '../..'), ending: here.slice(-3) };

/** How a program is divided into what is bundled and what is copied. */
export interface Packed {
  bundle: Bundle;
  /** Files of the app that its code reads or loads from their places. */
  assets: readonly string[];
  packages: readonly TracedPackage[];
  because: ReadonlyMap<string, string>;
  /** Where packages load modules by names that they compute. */
  computed: readonly ComputedImport[];
}

export const failed = (text: string) => new IsletError('E_BUILD_FAILED', text);

/**
 * Finds packages that must be copied after all. A package that is bundled and copied would have its state twice; a bundled
 * one that loads another version of a package than the rest would find the wrong one.
 */
function findFurther(packages: readonly TracedPackage[], shared: ReadonlySet<string>): Map<string, string> {
  const doubles = packages.map((each) => each.name).filter((each) => shared.has(each));
  if (doubles.length > 0) return new Map(doubles.map((each) => [each, 'is used by a copied package too']));
  const clash = findClash(packages);
  if (clash === undefined) return new Map();
  const users = packages.filter(({ name }) => name === clash).flatMap(({ usedBy }) => [...usedBy]);
  const bundled = users.filter((each) => each !== undefined);
  if (bundled.length > 0) return new Map(bundled.map((each) => [each, `uses a version of ${clash} of its own`]));
  const ways = `Install one version of it, or leave it out by --exclude ${clash}.`;
  throw failed(`Two versions of "${clash}" would have to be copied. Nothing was written. ${ways}`);
}

/** Divides a program, and bundles one part. Throws `E_BUILD_FAILED`. */
export async function pack(target: Target, included: readonly string[], files: readonly string[]): Promise<Packed> {
  const { root, name, entry, unitEntry } = target;
  const excluded = new Set(target.exclude.map((each) => each.replace(/^\.\//, '')));
  const because = new Map<string, string>(included.map((each) => [each, 'asked for by --include']));
  const whole = new Set<string>(included);
  const asked = included.map((specifier) => ({ specifier, folder: root, kind: 'import' as const }));
  const computed: ComputedImport[] = [];
  for (let turn = 0; turn < mostTurns; turn++) {
    const further = target.threads;
    const made = await bundle({ root, name, entry, unitEntry, islet, further, copied: because, excluded });
    const unknown = [...made.toCopy].filter(([each]) => !because.has(each));
    for (const [each, reason] of unknown) because.set(each, reason);
    computed.push(...made.computed);
    for (const each of made.computed) if (each.package !== undefined) whole.add(each.package);
    if (unknown.length > 0) continue;
    const assets = await findAssets(made, root);
    const own = [...files, ...assets];
    const traced = await tracePackages([...made.uses, ...asked], { files: own, root, whole, excluded });
    const more = findFurther(traced.packages, made.shared);
    for (const [each, reason] of more) because.set(each, reason);
    if (more.size > 0) continue;
    return { bundle: made, assets, packages: traced.packages, because, computed: [...computed, ...traced.computed] };
  }
  throw failed('The build failed: no division into bundled and copied packages was found. Nothing was written.');
}

/** How many names a warning lists. */
const mostNames = 5;

/** Warns of names that packages compute, where the app installs packages that nothing which is packed names. */
export function warnOfComputed({ packages, bundle: made, computed }: Packed, { root, exclude }: Target): string[] {
  const bundled = [...made.bundled.keys()].map((folder) => packageOf(join(folder, '_'))?.name);
  const packed = new Set([...packages.map(({ name }) => name), ...bundled, ...exclude, 'islet']);
  const left = Object.keys(readPackage({ folder: root }).dependencies ?? {}).filter((name) => !packed.has(name));
  const of = new Set(packages.map(({ name }) => name));
  const places = new Map(computed.filter((each) => of.has(each.package ?? '')).map((each) => [each.package, each]));
  if (left.length === 0 || places.size === 0) return [];
  const shown = [...left.slice(0, mostNames), ...(left.length > mostNames ? [`${left.length - mostNames} more`] : [])];
  const seen = [...places.values()].map(({ place, what }) => `${place} ${what}.`);
  const ways = 'If the code loads one of them by a name that it computes, add --include <name>.';
  return [`${seen.sort().join('\n')}\nThe app installs packages that are not packed: ${shown.join(', ')}. ${ways}`];
}
