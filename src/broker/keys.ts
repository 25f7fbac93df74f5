import { checkOptions, checks, checkValue, expecting } from '../manifest/check-options.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import { isPrefix } from '../redis-place.ts';

export const defaultPrefix = 'islet';

export const prefixCheck = expecting('1 to 60 letters, digits, "-" or "_"', isPrefix);

/** How many events a queue of Islet's own keeps, since nothing in Islet reads them. BullMQ keeps 10,000 by default. */
export const maxEvents = 100;

/** The parts of a queue's manifest that tell where it is; those of a task's are the same. */
export interface QueueRef {
  readonly name: string;
  readonly bullmq?: QueueManifest['bullmq'];
}

/** Where a queue is in Redis. */
export interface QueuePlace {
  /** The queue's name in the app, and the prefix of the app's own keys. */
  readonly queue: string;
  readonly app: string;
  /** The name and prefix by which BullMQ knows the queue. */
  readonly name: string;
  readonly prefix: string;
}

/**
 * Returns where a queue is in Redis. The braces around the name of Islet's own are a hash tag: all keys of a queue share a
 * slot, and a cluster spreads the queues.
 */
export function placeOf({ name: queue, bullmq }: QueueRef, app: string): QueuePlace {
  return { queue, app, ...(bullmq ?? { name: `{${queue}}`, prefix: app }) };
}

/**
 * Returns the name and prefix under which BullMQ knows a queue, for a plain `new Queue(name, { prefix })` or bull-board.
 * A queue with a `bullmq` has to be given as its manifest. `prefix` is that of the settings, "islet" by default. Throws
 * `E_OPTIONS_INVALID`.
 */
export function bullmqQueue(
  queue: string | QueueManifest,
  options: { prefix?: string } = {},
): { name: string; prefix: string } {
  checkValue('The queue of bullmqQueue', queue, checks.queue);
  checkOptions('An option of bullmqQueue', options, [], { prefix: prefixCheck }, 'E_OPTIONS_INVALID');
  const ref = typeof queue === 'string' ? { name: queue } : queue;
  const { name, prefix } = placeOf(ref, options.prefix ?? defaultPrefix);
  return { name, prefix };
}

/** Returns a key of BullMQ's, such as that of the list "wait" or of a job's hash. */
export function queueKey({ prefix, name }: Pick<QueuePlace, 'name' | 'prefix'>, key: string): string {
  return `${prefix}:${name}:${key}`;
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

/** Returns the key of the set of those places among them that a worker of the app has served. */
export function servedKey(prefix: string): string {
  return `${prefix}:islet:served`;
}
