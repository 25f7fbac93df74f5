import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { register } from 'node:module';
import { join } from 'node:path';
import { appNotFound, importDefault } from '../../app/app-files.ts';
import type { QueueManifest } from '../../manifest/define-queue.ts';
import type { AnyTask } from '../../manifest/define-task.ts';

/** The tasks and queues of an app as its source folders stand; a broken manifest is named, and hinders nothing. */
export interface AppSources {
  readonly root: string;
  /** The tasks by their folders' names; undefined where the manifest is broken. */
  readonly tasks: ReadonlyMap<string, AnyTask | undefined>;
  readonly queues: ReadonlyMap<string, QueueManifest | undefined>;
  readonly broken: readonly BrokenManifest[];
}

interface BrokenManifest {
  /** The path from the app's folder. */
  readonly file: string;
  readonly problem: string;
  /** The text of the file, for whoever must know whether it names something. */
  readonly text: string;
}

/**
 * Lets a Node without type stripping import a manifest's source: what is usual there is JavaScript, or one of these.
 * Nothing else is stripped, since a manifest that was compiled is read from dist/.
 */
const typeStrippingHook = `
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  const { source } = await next(url, { ...context, format: 'module' });
  const text = String(source).replace(/^import type [^;]*;/gm, '').replace(/ as const\\b/g, '');
  return { format: 'module', source: text, shortCircuit: true };
}`;

let canImportTypeScript = Boolean((process.features as { typescript?: unknown }).typescript);

function ensureTypeScript(): void {
  if (canImportTypeScript) return;
  canImportTypeScript = true;
  register(`data:text/javascript,${encodeURIComponent(typeStrippingHook)}`);
}

/** Returns the compiled file where it is as new as its source, else the source: nothing is compiled for a look. */
async function chooseFile(root: string, source: string): Promise<string> {
  const compiled = join(root, 'dist', source.replace(/\.ts$/, '.js'));
  const [from, to] = await Promise.all([stat(join(root, source)), stat(compiled).catch(() => undefined)]);
  return to !== undefined && to.mtimeMs >= from.mtimeMs ? compiled : join(root, source);
}

async function importManifest(root: string, source: string): Promise<unknown> {
  const file = await chooseFile(root, source);
  if (file.endsWith('.ts')) ensureTypeScript();
  return importDefault(file);
}

interface Found<T> {
  name: string;
  manifest?: T;
  broken?: BrokenManifest;
}

async function readOne<T>(root: string, kind: 'task' | 'queue', name: string): Promise<Found<T>> {
  const endings = ['.ts', '.js'].map((ending) => `${kind}s/${name}/manifest${ending}`);
  const file = endings.find((path) => existsSync(join(root, path)));
  // Somebody may be just about to fill the folder, or it is something else altogether.
  if (file === undefined) return { name };
  const fail = async (problem: string): Promise<Found<T>> => {
    const text = await readFile(join(root, file), 'utf8').catch(() => '');
    return { name, broken: { file, problem: problem.split('\n')[0] ?? '', text } };
  };
  try {
    const manifest = (await importManifest(root, file)) as { kind?: string; name?: string } | undefined;
    const maker = kind === 'task' ? 'defineTask' : 'defineQueue';
    if (manifest?.kind !== kind) return fail(`it does not export by default what ${maker}() returns`);
    if (manifest.name !== name) return fail(`it names its ${kind} "${manifest.name}", but its folder is "${name}"`);
    return { name, manifest: manifest as T };
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

async function readKind<T>(root: string, kind: 'task' | 'queue'): Promise<Found<T>[]> {
  const parent = join(root, `${kind}s`);
  if (!existsSync(parent)) return [];
  const entries = await readdir(parent, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isFile() && !entry.name.startsWith('.')).map(({ name }) => name);
  const found = await Promise.all(names.sort().map((name) => readOne<T>(root, kind, name)));
  return found.filter(({ manifest, broken }) => manifest ?? broken);
}

/** Git keeps no empty folder, so an app whose last queue was removed is known by its dependency. */
async function isApp(root: string): Promise<boolean> {
  if (existsSync(join(root, 'queues'))) return true;
  const text = await readFile(join(root, 'package.json'), 'utf8').catch(() => '{}');
  return /"islet"\s*:\s*"[^"]+"/.test(text.replace(/"name"\s*:\s*"islet"/, ''));
}

/** Reads all manifests without compiling anything. Throws `E_APP_NOT_FOUND`. */
export async function readManifests(root: string): Promise<AppSources> {
  if (!(await isApp(root))) throw appNotFound(root);
  const [tasks, queues] = await Promise.all([readKind<AnyTask>(root, 'task'), readKind<QueueManifest>(root, 'queue')]);
  return {
    root,
    tasks: new Map(tasks.map(({ name, manifest }) => [name, manifest])),
    queues: new Map(queues.map(({ name, manifest }) => [name, manifest])),
    broken: [...tasks, ...queues].flatMap(({ broken }) => broken ?? []),
  };
}
