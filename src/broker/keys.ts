export const defaultPrefix = 'islet';

/** BullMQ keeps 10,000 events per queue unless told otherwise; nothing of Islet reads them. */
export const maxEvents = 100;

/**
 * Returns the name and prefix under which BullMQ knows a queue of Islet, for a plain `new Queue(name, { prefix })` or
 * bull-board. The braces are a hash tag: all keys of a queue share a slot, and a cluster spreads the queues.
 */
export function bullmqQueue(queue: string, options: { prefix?: string } = {}): { name: string; prefix: string } {
  return { name: `{${queue}}`, prefix: options.prefix ?? defaultPrefix };
}

/** A key of BullMQ's, such as "wait" or a job's hash. */
export function queueKey(prefix: string, queue: string, name: string): string {
  return `${prefix}:{${queue}}:${name}`;
}

/** The key, and the pub/sub channel, of one job's result. */
export function resultKey(prefix: string, queue: string, jobId: string): string {
  return queueKey(prefix, queue, `result:${jobId}`);
}

/** The hash of a queue's worker processes. No id of Islet's has a ':', and those of BullMQ's schedulers begin otherwise. */
export function workersKey(prefix: string, queue: string): string {
  return queueKey(prefix, queue, 'islet:workers');
}

/** The pub/sub channel on which a queue's workers hear of cancelled jobs: their ids. */
export function cancelChannel(prefix: string, queue: string): string {
  return queueKey(prefix, queue, 'islet:cancel');
}

/** A key that is never set: removing it shows whether Redis takes writes. */
export function probeKey(prefix: string): string {
  return `${prefix}:islet:probe`;
}

/** The set of all queues that a producer or worker has used: where a job is looked for when only its id is known. */
export function queuesKey(prefix: string): string {
  return `${prefix}:islet:queues`;
}
