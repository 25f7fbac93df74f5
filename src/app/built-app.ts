import { createCatalog, type FoundManifest } from '../manifest/catalog.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import type { AppSource, ModuleSource } from './app-source.ts';

/** A module of the bundle: the file of the app that it was, and how it is loaded. */
interface BuiltModule {
  file: string;
  load(): Promise<{ default?: unknown }>;
}

/** What `islet build` writes into the entry of a queue's folder. */
export interface BuiltQueue {
  manifest: QueueManifest;
  tasks: (BuiltModule & { manifest: AnyTask })[];
  dependencies?: BuiltModule;
  hooks?: BuiltModule;
  /** The hooks of all queues. */
  appHooks?: BuiltModule;
  config: BuiltModule;
}

/** Opens an app of one queue that was built into a bundle: nothing is looked for in folders. */
export function openBuiltApp({ manifest, tasks, dependencies, hooks, appHooks, config }: BuiltQueue): AppSource {
  const catalog = createCatalog({
    queues: [toFound('queues', manifest)],
    tasks: tasks.map((task) => toFound('tasks', task.manifest)),
  });
  const source = {
    dependencies: dependencies && toSource(dependencies),
    hooks: hooks && toSource(hooks),
    tasks: tasks.map((task) => ({ ...toSource(task), manifest: task.manifest })),
  };
  return {
    manifests: async () => catalog,
    async loadQueue(name) {
      catalog.queue(name);
      return source;
    },
    hooks: () => appHooks && toSource(appHooks),
    config: () => toSource(config).load(),
  };
}

function toFound(folder: 'queues' | 'tasks', manifest: { name: string }): FoundManifest {
  return { folder: manifest.name, file: `${folder}/${manifest.name}/manifest.ts`, value: manifest };
}

function toSource({ file, load }: BuiltModule): ModuleSource {
  return { file, load: async () => (await load()).default };
}
