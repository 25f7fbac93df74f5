import { checkOptions, checks, checkValue, expecting } from '../manifest/check-options.ts';
import { isPrefix } from '../redis-place.ts';

export const defaultPrefix = 'islet';

export const prefixCheck = expecting('1 to 60 letters, digits, "-" or "_"', isPrefix);

/** BullMQ keeps 10,000 events per queue unless it is told otherwise. Nothing in Islet reads them. */
export const maxEvents = 100;

/**
 * Returns the name and prefix under which BullMQ knows a queue of Islet, for a plain `new Queue(name, { prefix })` or
 * bull-board. The braces are a hash tag: all keys of a queue share a slot, and a cluster spreads the queues. Throws
 * `E_OPTIONS_INVALID`.
 */
export function bullmqQueue(queue: string, options: { prefix?: string } = {}): { name: string; prefix: string } {
  checkValue('The queue of bullmqQueue', queue, checks.name);
  checkOptions('An option of bullmqQueue', options, [], { prefix: prefixCheck }, 'E_OPTIONS_INVALID');
  return { name: `{${queue}}`, prefix: options.prefix ?? defaultPrefix };
}

/** Returns a key of BullMQ's, such as that of the list "wait" or of a job's hash. */
export function queueKey(prefix: string, queue: string, name: string): string {
  return `${prefix}:{${queue}}:${name}`;
}

/** The last parts of the keys that Islet adds to BullMQ's. No id of a job has a ':', so none clashes with them. */
export const ownKeyNames = {
  /** A hash: the queue's worker processes. */
  workers: 'islet:workers',
  /** When a worker last looked for stalled jobs. */
  looked: 'islet:looked',
  /** The start of a pub/sub channel: the queue's workers hear the ids of cancelled jobs. */
  cancel: 'islet:cancel',
} as const;

/** Returns the pub/sub channel that tells of a key. Redis has one set of channels for all of its databases. */
export function channelOf(key: string, database: number): string {
  return `${key}@${database}`;
}

/** Returns the last part of the key that remembers whose job an id of the caller's own stands for, also when that is gone. */
export function idTaskName(id: string): string {
  return `task:${id}`;
}

/** Returns the key of the set of all queues that were ever used: a job of unknown queue is looked for in these. */
export function queuesKey(prefix: string): string {
  return `${prefix}:islet:queues`;
}
