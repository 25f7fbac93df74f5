import type { Catalog } from '../manifest/catalog.ts';
import type { AnyTask } from '../manifest/define-task.ts';

/** One task's code, not loaded yet. */
export interface TaskSource {
  manifest: AnyTask;
  file: string;
  /** Imports task.ts and returns its default export. Throws what the import threw. */
  load(): Promise<unknown>;
}

/** A file of the app's whose default export is wanted, not loaded yet. */
export interface ModuleSource {
  file: string;
  /** Throws what the import threw. */
  load(): Promise<unknown>;
}

/** The code of one queue, not loaded yet. */
export interface QueueSource {
  /** Undefined when the queue has no dependencies.ts. */
  dependencies: ModuleSource | undefined;
  /** Undefined when the queue has no hooks.ts. */
  hooks: ModuleSource | undefined;
  tasks: TaskSource[];
}

/** An app, as folders or as a built bundle. */
export interface AppSource {
  manifests(): Promise<Catalog>;
  loadQueue(queue: string): Promise<QueueSource>;
  /** The hooks of all queues; undefined when there is no queues/hooks.ts. */
  hooks(): ModuleSource | undefined;
  /** What config/index.ts exports by default: the parsed settings. */
  config(): Promise<unknown>;
}
