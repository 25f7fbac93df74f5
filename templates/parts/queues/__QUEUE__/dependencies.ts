import type { DependenciesOf } from 'islet/task';

/**
 * What the tasks of this queue share, as awilix resolvers by name; `{ config, log }` is handed in. Loaded only in this
 * queue's worker, which makes the singletons before its first job.
 */
export default function dependencies() {
  return {};
}

export type Dependencies = DependenciesOf<typeof dependencies>;
