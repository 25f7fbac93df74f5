import { queueDefaults } from '../../manifest/defaults.ts';
import type { Files } from './files.ts';

export interface NewQueue {
  name: string;
  concurrency?: number;
}

const manifest = ({ name, concurrency = queueDefaults.concurrency }: NewQueue) => `import { defineQueue } from 'islet';

export default defineQueue({
  name: '${name}',
  concurrency: ${concurrency},
});
`;

const dependencies = `import type { DependenciesOf } from 'islet/task';

/**
 * What the tasks of this queue share, as awilix resolvers by name; \`{ config, log }\` is handed in. Loaded only in this
 * queue's worker, which makes the singletons before its first job.
 */
export default function dependencies() {
  return {};
}

export type Dependencies = DependenciesOf<typeof dependencies>;
`;

/** The files of a new queue's folder. */
export function queueFiles(given: NewQueue): Files {
  return { 'manifest.ts': manifest(given), 'dependencies.ts': dependencies };
}
