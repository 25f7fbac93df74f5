import { join, relative } from 'node:path';
import { IsletError } from '../errors.ts';
import { type Catalog, createCatalog, type FoundManifest } from '../manifest/catalog.ts';
import { findCode, findFile, importDefault, listFolders } from './app-files.ts';
import type { AppSource, ModuleSource } from './app-source.ts';

/** Opens an app laid out as folders (`queues`, `tasks`, `config`). Throws `E_APP_NOT_FOUND`. */
export function openAppFolder(root: string): AppSource {
  const code = findCode(root);
  let catalog: Promise<Catalog> | undefined;
  const manifests = () => {
    catalog ??= discoverManifests(code);
    return catalog;
  };
  const toSource = (file: string): ModuleSource => ({ file: relative(root, file), load: () => importDefault(file) });
  const findModule = (folder: string, name: string) => {
    const file = findFile(folder, name);
    return file === undefined ? undefined : toSource(file);
  };
  return {
    manifests,
    hooks: () => findModule(join(code, 'queues'), 'hooks'),
    async findQueue(name) {
      const { queue, tasksOf } = await manifests();
      const folder = join(code, 'queues', queue(name).name);
      const tasks = tasksOf(name).map((manifest) => {
        const taskFolder = join(code, 'tasks', manifest.name);
        return { manifest, ...toSource(findFile(taskFolder, 'task') ?? join(taskFolder, 'task.js')) };
      });
      return { dependencies: findModule(folder, 'dependencies'), hooks: findModule(folder, 'hooks'), tasks };
    },
    async config() {
      const file = findFile(join(code, 'config'), 'index');
      if (!file)
        throw new IsletError(
          'E_CONFIG_INVALID',
          `${root} has no config/index.ts. Add one: docs/configuration.md of Islet shows it.`,
        );
      return importDefault(file);
    },
  };
}

async function discoverManifests(code: string): Promise<Catalog> {
  const importAll = async (kind: 'tasks' | 'queues') => {
    const found = (await listFolders(code, kind)).map(async (name) => {
      const file = findFile(join(code, kind, name), 'manifest');
      return file ? [await importManifest(code, name, file)] : [];
    });
    return (await Promise.all(found)).flat();
  };
  const [tasks, queues] = await Promise.all([importAll('tasks'), importAll('queues')]);
  return createCatalog({ tasks, queues });
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
