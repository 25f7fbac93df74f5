export const defaultPrefix = 'islet';

/**
 * Returns the name and prefix under which BullMQ knows a queue of Islet, for a plain `new Queue(name, { prefix })` or
 * bull-board. The braces are a hash tag: all keys of a queue share a slot, and a cluster spreads the queues.
 */
export function bullmqQueue(queue: string, options: { prefix?: string } = {}): { name: string; prefix: string } {
  return { name: `{${queue}}`, prefix: options.prefix ?? defaultPrefix };
}

/** The key, and the pub/sub channel, of one job's result. */
export function resultKey(prefix: string, queue: string, jobId: string): string {
  return `${prefix}:{${queue}}:result:${jobId}`;
}
