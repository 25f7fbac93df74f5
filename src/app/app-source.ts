import type { Catalog } from '../manifest/catalog.ts';
import type { AnyTask } from '../manifest/define-task.ts';

/** A file of the app's whose default export is wanted, not loaded yet. */
export interface ModuleSource {
  file: string;
  /** Imports the file and returns its default export. Throws what the import threw. */
  load(): Promise<unknown>;
}

export interface TaskSource extends ModuleSource {
  manifest: AnyTask;
}

export interface QueueSource {
  dependencies?: ModuleSource | undefined;
  hooks?: ModuleSource | undefined;
  tasks: TaskSource[];
}

/** An app, as folders or as a built bundle. */
export interface AppSource {
  manifests(): Promise<Catalog>;
  /** Finds the code of one queue. Throws `E_QUEUE_UNKNOWN`. */
  findQueue(queue: string): Promise<QueueSource>;
  /** Finds the hooks of all queues; undefined when there is no queues/hooks.ts. */
  hooks(): ModuleSource | undefined;
  /** Returns what config/index.ts exports by default: the parsed settings. */
  config(): Promise<unknown>;
}
