import { jobFields, keyNames } from '../broker/bullmq-names.ts';
import { execAll, execEach } from '../broker/lua.ts';
import type { QueueHandle } from '../broker/queue-handle.ts';

/** How many jobs of one state are looked at, at each of its two ends. */
const endSize = 100;

/** BullMQ's states by the key that holds their jobs, and what that key is. */
const states = [
  ['waiting', keyNames.wait, 'list'],
  ['active', keyNames.active, 'list'],
  ['prioritized', keyNames.prioritized, 'zset'],
  ['delayed', keyNames.delayed, 'zset'],
  ['waiting-children', keyNames.waitingChildren, 'zset'],
  ['completed', keyNames.completed, 'zset'],
  ['failed', keyNames.failed, 'zset'],
] as const;

/** What a bounded look into a queue saw. */
export interface JobSample {
  /** How many jobs there are, of all names. */
  total: number;
  /** How many of them were looked at: the oldest and the newest of each state. */
  looked: number;
  /** How many of those are wanted, by state; states without one are left out. */
  seen: Record<string, number>;
}

/** Looks at up to 200 jobs of each state of a queue, in two round trips, and counts those whose name is wanted. */
export async function sampleJobs(queue: QueueHandle, isWanted: (name: string) => boolean): Promise<JobSample> {
  const ends = queue.client.pipeline();
  for (const [, name, type] of states) {
    const key = queue.key(name);
    const [first, last] = [['0', String(endSize - 1)] as const, [String(-endSize), '-1'] as const];
    if (type === 'list')
      ends
        .llen(key)
        .lrange(key, ...first)
        .lrange(key, ...last);
    else
      ends
        .zcard(key)
        .zrange(key, ...first)
        .zrange(key, ...last);
  }
  const found = await execAll(ends);
  const sample: JobSample = { total: 0, looked: 0, seen: {} };
  const jobs = states.flatMap(([state], index) => {
    const [size, first, last] = found.slice(index * 3, index * 3 + 3) as [number, string[], string[]];
    sample.total += size;
    return [...new Set([...first, ...last])].map((id) => ({ state, id }));
  });
  const names = queue.client.pipeline();
  for (const { id } of jobs) names.hget(queue.key(id), jobFields.name);
  for (const [index, name] of (await execEach(names)).entries()) {
    // A job without a name was removed meanwhile.
    if (typeof name !== 'string') continue;
    sample.looked += 1;
    const { state = '' } = jobs[index] ?? {};
    if (isWanted(name)) sample.seen[state] = (sample.seen[state] ?? 0) + 1;
  }
  return sample;
}
