import { join } from 'node:path';
import { findCode, findFile, listFolders } from '../../app/app-files.ts';
import type { FoundManifest } from '../../manifest/catalog.ts';
import { importApart } from './import-apart.ts';
import type { ManifestData } from './import-module.ts';
import { type Problem, toProblem } from './problem.ts';
import { toSource } from './source-line.ts';

/** The folders of an app. */
export interface App {
  root: string;
  /** The folder of the code that runs: the app's folder or its dist/. */
  code: string;
  /** The folders that have a manifest, sorted. */
  folders: { queues: string[]; tasks: string[] };
}

/** The manifests of an app that could be imported, and why the others could not. */
export interface Manifests {
  tasks: FoundManifest[];
  queues: FoundManifest[];
  /** The source files of the manifests that could not be imported. */
  broken: string[];
  problems: Problem[];
}

/** Returns what an imported manifest says. */
export const dataOf = ({ value }: FoundManifest): ManifestData => (value ?? {}) as ManifestData;

/** Finds the folders that have a manifest. Throws `E_APP_NOT_FOUND`. */
export async function findFolders(root: string): Promise<App> {
  const code = findCode(root);
  const list = async (kind: 'queues' | 'tasks') =>
    (await listFolders(code, kind)).filter((folder) => findFile(join(code, kind, folder), 'manifest'));
  const [queues, tasks] = await Promise.all([list('queues'), list('tasks')]);
  return { root, code, folders: { queues, tasks } };
}

/** Imports all manifests one by one in one process, so that a broken one hides no other. */
export async function importManifests({ root, code, folders }: App): Promise<Manifests> {
  const found = (['queues', 'tasks'] as const).flatMap((kind) =>
    folders[kind].map((folder) => ({ kind, folder, file: findFile(join(code, kind, folder), 'manifest') ?? '' })),
  );
  const imported = await importApart(
    found.map(({ folder, file }) => ({ file, name: folder, exports: 'manifest' })),
    root,
  );
  const manifests: Manifests = { tasks: [], queues: [], broken: [], problems: [] };
  for (const [index, result] of imported.entries()) {
    const { kind = 'tasks', folder = '', file = '' } = found[index] ?? {};
    const source = toSource(root, file);
    if (result.ok) {
      manifests[kind].push({ folder, file: source, value: result.value });
      continue;
    }
    const title = `The manifest of ${kind === 'tasks' ? 'task' : 'queue'} "${folder}"`;
    const subject = { code: 'E_MANIFEST_INVALID', file, title, effect: 'Until this is fixed, no worker starts.' };
    const queue = kind === 'queues' ? folder : undefined;
    manifests.broken.push(source);
    manifests.problems.push(toProblem(root, { ...subject, queue }, result));
  }
  return manifests;
}

/** Imports the settings, as every worker does first. */
export async function checkConfig({ root, code }: App): Promise<Problem[]> {
  const file = findFile(join(code, 'config'), 'index');
  if (!file) {
    const message = 'The app has no config/index.ts. Add one: `islet init` writes it for a new app.';
    return [{ code: 'E_CONFIG_INVALID', queue: null, file: null, line: null, message }];
  }
  const [result] = await importApart([{ file, name: 'config', exports: 'settings' }], root);
  if (!result || result.ok) return [];
  const subject = {
    code: 'E_CONFIG_INVALID',
    file,
    title: 'The settings',
    effect: 'Until this is fixed, no worker starts.',
  };
  return [toProblem(root, subject, result)];
}
