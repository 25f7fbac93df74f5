import { createCatalog, type FoundManifest } from '../manifest/catalog.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { AppSource, ModuleSource, QueueSource } from './app-source.ts';

/** What `islet build` writes into the entry of a queue's folder. */
export interface BuiltQueue extends QueueSource {
  manifest: QueueManifest;
  /** The hooks of all queues. */
  appHooks?: ModuleSource;
  config: ModuleSource;
}

/** Opens an app of one queue that was built into a bundle: nothing is looked for in folders. */
export function openBuiltApp(built: BuiltQueue): AppSource {
  const catalog = createCatalog({
    queues: [toFound('queues', built.manifest)],
    tasks: built.tasks.map(({ manifest }) => toFound('tasks', manifest)),
  });
  return {
    manifests: async () => catalog,
    async findQueue(name) {
      catalog.queue(name);
      return built;
    },
    hooks: () => built.appHooks,
    config: () => built.config.load(),
  };
}

function toFound(folder: 'queues' | 'tasks', manifest: { name: string }): FoundManifest {
  return { folder: manifest.name, file: `${folder}/${manifest.name}/manifest.ts`, value: manifest };
}
