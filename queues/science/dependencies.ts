import type { DependenciesOf } from 'islet/task';

/** Sums need nothing opened or shared. */
export default function dependencies() {
  return {};
}

export type Dependencies = DependenciesOf<typeof dependencies>;
