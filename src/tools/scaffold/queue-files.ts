import { queueDefaults } from '../../manifest/defaults.ts';
import type { Files } from './files.ts';
import { fillFiles } from './template.ts';

export interface NewQueue {
  name: string;
  concurrency?: number;
}

/** Returns the files of a new queue's folder. */
export function queueFiles({ name, concurrency = queueDefaults.concurrency }: NewQueue): Files {
  const slots = { QUEUE: name, CONCURRENCY: String(concurrency) };
  return fillFiles('parts/queues/__QUEUE__', ['manifest.ts', 'dependencies.ts'], slots);
}
