import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { NewJob } from './broker.ts';
import { toJobOptions } from './job-options.ts';
import { bullmqQueue } from './keys.ts';

/** BullMQ writes 10,000 events per queue unless told otherwise; nothing of Islet reads them. */
const maxEvents = 100;

export interface Sender {
  /** Adds jobs of one queue in one round trip. Throws when Redis reports another id than the one sent. */
  send(jobs: NewJob[]): Promise<void>;
  counts(queue: string): Promise<Record<string, number>>;
  workers(queue: string): Promise<number>;
  close(): Promise<void>;
}

function checkIds(jobs: NewJob[], returned: (string | undefined)[]): void {
  jobs.forEach((job, index) => {
    // BullMQ reports a failed item of a bulk as a negative number in place of its id.
    if (returned[index] === job.id) return;
    const seen = `Redis answered "${returned[index]}" for job "${job.id}"`;
    throw new IsletError('E_ENQUEUE_REFUSED', `Queue "${job.queue}" did not take a job: ${seen}. Enqueue it again.`);
  });
}

/** Creates what adds jobs over a connected client, with one BullMQ Queue for each queue name. */
export function createSender(client: Redis, prefix: string): Sender {
  const queues = new Map<string, Queue>();
  const open = (name: string): Queue => {
    const known = queues.get(name);
    if (known) return known;
    const streams = { events: { maxLen: maxEvents } };
    const options = { connection: client, prefix, streams, skipVersionCheck: true };
    const queue = new Queue(bullmqQueue(name).name, options);
    // A lost connection is reported by the command that it hits.
    queue.on('error', () => {});
    queues.set(name, queue);
    return queue;
  };
  return {
    async send(jobs) {
      const first = jobs[0];
      if (!first) return;
      const items = jobs.map((job) => ({ name: job.task, data: job.payload, opts: toJobOptions(job) }));
      const added = await open(first.queue).addBulk(items);
      checkIds(
        jobs,
        added.map((job) => job.id),
      );
    },
    counts: (queue) => open(queue).getJobCounts('wait', 'active', 'delayed', 'prioritized', 'failed', 'completed'),
    workers: (queue) => open(queue).getWorkersCount(),
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}
