import type { AnyTask } from '../../manifest/define-task.ts';
import type { PoolKind } from '../../manifest/pool.ts';
import type { Files } from './files.ts';
import { fillFiles } from './template.ts';

/** What a new task's manifest says. An option that is left out has its default. */
export interface NewTask {
  name: string;
  queue: string;
  delivery?: AnyTask['delivery'];
  attempts?: number;
  timeoutMs?: number;
  /** Whether the task is imported only when its first job comes. */
  rare?: boolean;
  pool?: PoolKind;
  priority?: number;
  /** Whether the queue's dependencies.ts exports the type `Dependencies`. */
  hasDependencies: boolean;
  /** Whether the queue is an existing one of BullMQ's: then the task's manifest imports the queue's. */
  isMapped: boolean;
}

/** Writes 30000 as 30_000, the way a person does. */
const grouped = (value: number | undefined) => value?.toString().replace(/\B(?=(\d{3})+$)/g, '_');

const quoted = (value: string) => `'${value}'`;

/** Returns the type of the context that the task is handed. */
function contextOf({ delivery, hasDependencies }: NewTask): string {
  const dependencies = hasDependencies ? 'Dependencies' : 'object';
  if (delivery === 'at-most-once') return `TaskContext<${dependencies}, 'at-most-once'>`;
  return hasDependencies ? 'TaskContext<Dependencies>' : 'TaskContext';
}

/** Returns the files of a new task's folder. Its test passes as it stands. */
export function taskFiles(given: NewTask): Files {
  const { name, queue, delivery = 'at-least-once', attempts, timeoutMs, rare, pool, priority, hasDependencies } = given;
  const slots = {
    TASK: name,
    QUEUE: queue,
    QUEUE_REF: given.isMapped ? '' : quoted(queue),
    DELIVERY: delivery === 'at-most-once' ? quoted(delivery) : undefined,
    ATTEMPTS: grouped(attempts),
    TIMEOUT_MS: grouped(timeoutMs),
    LOAD: rare ? quoted('on-first-job') : undefined,
    POOL: pool === undefined || pool === 'async' ? undefined : quoted(pool),
    PRIORITY: grouped(priority),
    CONTEXT: contextOf(given),
    FAKES: hasDependencies ? 'Fakes<Dependencies> & { done: string[] }' : '',
  };
  const cases = [
    delivery,
    hasDependencies ? 'dependencies' : 'no-dependencies',
    given.isMapped ? 'mapped' : 'not-mapped',
  ];
  return fillFiles('parts/tasks/__TASK__', ['manifest.ts', 'task.ts', 'task.test.ts'], slots, cases);
}

/** A payload that a new task takes, as JSON for a shell. */
export const newTaskPayload = `'{"id":"1"}'`;
