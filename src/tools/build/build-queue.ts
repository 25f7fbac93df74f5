import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { findCode, findFile } from '../../app/app-files.ts';
import { openAppFolder } from '../../app/folder-app.ts';
import { IsletError } from '../../errors.ts';
import { buildFolder } from './build-folder.ts';
import type { Contents } from './contents.ts';
import { type EntryModule, type WorkerEntry, writeProducerEntry, writeUnitEntry, writeWorkerEntry } from './entry.ts';
import { checkOutputFolder } from './output-folder.ts';
import { islet, type Target } from './pack.ts';

interface BuildRequest {
  /** The app's folder. */
  root: string;
  out: string;
  /** Files, folders and packages that no code names. */
  include: readonly string[];
  /** Packages that are left out, and files of the app whose computed imports are not followed. */
  exclude: readonly string[];
  /** The version of Islet. */
  version: string;
}

const asSource = (code: string, file: string) => relative(code, file).replaceAll('\\', '/').replace(/\.js$/, '.ts');

/** Finds a module of the app; undefined when there is none. */
function findModule(code: string, folder: string, name: string): EntryModule | undefined {
  const file = findFile(join(code, folder), name);
  return file === undefined ? undefined : { shown: asSource(code, file), file };
}

function needModule(code: string, folder: string, name: string): EntryModule {
  const found = findModule(code, folder, name);
  if (found) return found;
  throw new IsletError(
    'E_BUILD_FAILED',
    `There is no ${folder}/${name}.ts. Nothing was built. Add it, see "islet check".`,
  );
}

function describeEntry(code: string, queue: string, tasks: readonly string[]): WorkerEntry {
  const folder = `queues/${queue}`;
  return {
    unitRunner: join(islet.folder, 'cli', `run-unit${islet.ending}`),
    runner: join(islet.folder, 'cli', `built-worker${islet.ending}`),
    queueManifest: needModule(code, folder, 'manifest').file,
    tasks: tasks.map((task) => ({
      ...needModule(code, `tasks/${task}`, 'task'),
      manifest: needModule(code, `tasks/${task}`, 'manifest').file,
    })),
    dependencies: findModule(code, folder, 'dependencies'),
    hooks: findModule(code, folder, 'hooks'),
    appHooks: findModule(code, 'queues', 'hooks'),
    config: needModule(code, 'config', 'index'),
  };
}

/**
 * Builds the worker of one queue into a folder. Throws `E_QUEUE_UNKNOWN`, `E_FOLDER_NOT_EMPTY`, `E_BUILD_FAILED` and the
 * codes of invalid manifests.
 */
export async function buildQueue(queue: string, request: BuildRequest): Promise<Contents> {
  const { root, out } = request;
  const code = findCode(root);
  const catalog = await openAppFolder(root).manifests();
  const manifests = catalog.tasksOf(catalog.queue(queue).name);
  const tasks = manifests.map(({ name }) => name);
  const entry = describeEntry(code, queue, tasks);
  const kinds = new Set(manifests.map(({ pool }) => pool.kind));
  checkOutputFolder(root, out);
  const target: Target = {
    ...request,
    about: { queue, tasks },
    name: 'worker',
    entry: writeWorkerEntry(entry),
    unitEntry: kinds.has('thread') || kinds.has('process') ? writeUnitEntry(entry) : undefined,
    threads: {
      'guard-thread': join(islet.folder, 'cli', `guard-thread${islet.ending}`),
      'parent-thread': join(islet.folder, 'process', `parent-thread${islet.ending}`),
    },
  };
  return buildFolder(target);
}

/** Finds what to bundle for a source: the compiled file, where the app was compiled. */
function findProgram(root: string, file: string): string {
  const source = resolve(root, file);
  if (!existsSync(source)) {
    throw new IsletError(
      'E_BUILD_FAILED',
      `There is no file ${file}. Nothing was built. Name the producer's own file.`,
    );
  }
  const compiled = join(root, 'dist', relative(root, source).replace(/\.ts$/, '.js'));
  return source.endsWith('.ts') && existsSync(compiled) ? compiled : source;
}

/** Builds a program that enqueues into a folder. Throws `E_FOLDER_NOT_EMPTY` and `E_BUILD_FAILED`. */
export async function buildProducer(file: string, request: BuildRequest): Promise<Contents> {
  const { root, out } = request;
  const program = findProgram(root, file);
  checkOutputFolder(root, out);
  return buildFolder({
    ...request,
    about: { producer: relative(root, resolve(root, file)).replaceAll('\\', '/') },
    name: 'producer',
    entry: writeProducerEntry(program),
    threads: {},
  });
}
