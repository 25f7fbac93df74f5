import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { IsletError } from '../errors.ts';
import { type Catalog, createCatalog, type FoundManifest } from '../manifest/catalog.ts';
import type { AppSource, ModuleSource } from './app-source.ts';

/** Compiled code first: Node 20 runs nothing else. */
const endings = ['.js', '.ts'];

function findFile(folder: string, name: string): string | undefined {
  return endings.map((ending) => join(folder, name + ending)).find(existsSync);
}

async function importDefault(file: string): Promise<unknown> {
  const module: { default?: unknown } = await import(pathToFileURL(file).href);
  return module.default;
}

async function importManifest(root: string, folder: string, file: string): Promise<FoundManifest> {
  const shown = relative(root, file);
  try {
    return { folder, file: shown, value: await importDefault(file) };
  } catch (cause) {
    if (cause instanceof IsletError) throw new IsletError(cause.code, `${shown}: ${cause.message}`, { cause });
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new IsletError('E_MANIFEST_INVALID', `${shown} could not be imported: ${said}`, { cause });
  }
}

async function discoverManifests(root: string, kind: 'tasks' | 'queues'): Promise<FoundManifest[]> {
  const parent = join(root, kind);
  if (!existsSync(parent)) return [];
  const folders = (await readdir(parent, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const found = folders
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(async ({ name }) => {
      const file = findFile(join(parent, name), 'manifest');
      return file ? [await importManifest(root, name, file)] : [];
    });
  return (await Promise.all(found)).flat();
}

export function appNotFound(root: string): IsletError {
  return new IsletError(
    'E_APP_NOT_FOUND',
    `${root} is no Islet app: it has no folder "queues". Start in the app's folder, or make a new app: ` +
      'npx islet init my-workers.',
  );
}

/** The folder that holds an app's runnable code: `dist/` where it was compiled, else the app's own. */
function findCode(root: string): string {
  const compiled = join(root, 'dist');
  const code = [compiled, root].find((folder) => existsSync(join(folder, 'queues')));
  if (code) return code;
  throw appNotFound(root);
}

/** Opens an app laid out as folders (`queues`, `tasks`, `config`). Throws `E_APP_NOT_FOUND`. */
export function openAppFolder(root: string): AppSource {
  const code = findCode(root);
  let catalog: Promise<Catalog> | undefined;
  const discover = async () => {
    const [tasks, queues] = await Promise.all([discoverManifests(code, 'tasks'), discoverManifests(code, 'queues')]);
    return createCatalog({ tasks, queues });
  };
  const manifests = () => {
    catalog ??= discover();
    return catalog;
  };
  const findModule = (folder: string, name: string): ModuleSource | undefined => {
    const file = findFile(folder, name);
    return file === undefined ? undefined : { file: relative(root, file), load: () => importDefault(file) };
  };
  return {
    manifests,
    hooks: () => findModule(join(code, 'queues'), 'hooks'),
    async loadQueue(name) {
      const { queue, tasksOf } = await manifests();
      const folder = join(code, 'queues', queue(name).name);
      const tasks = tasksOf(name).map((manifest) => {
        const taskFolder = join(code, 'tasks', manifest.name);
        const file = findFile(taskFolder, 'task') ?? join(taskFolder, 'task.js');
        return { manifest, file: relative(root, file), load: () => importDefault(file) };
      });
      return { dependencies: findModule(folder, 'dependencies'), hooks: findModule(folder, 'hooks'), tasks };
    },
    async config() {
      const file = findFile(join(code, 'config'), 'index');
      if (!file) throw new IsletError('E_CONFIG_INVALID', `${root} has no config/index.ts. Add one, see the README.`);
      return importDefault(file);
    },
  };
}
