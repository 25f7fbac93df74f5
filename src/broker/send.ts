import { Job, Queue } from 'bullmq';
import type { ChainableCommander, Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { Added, JobToAdd, NewJob, QueueCounts } from './broker.ts';
import { toJobOptions } from './job-options.ts';
import { bullmqQueue, maxEvents, queueKey, queuesKey } from './keys.ts';

export interface Sender {
  /** Adds jobs of one queue in one round trip, and says of each what became of it. */
  add(jobs: readonly JobToAdd[]): Promise<Added[]>;
  /** Adds jobs of one queue in one round trip. Throws `E_ENQUEUE_REFUSED`, with all ids that were not confirmed. */
  send(jobs: readonly NewJob[]): Promise<void>;
  counts(queue: string): Promise<QueueCounts>;
  workers(queue: string): Promise<number>;
  close(): Promise<void>;
}

type Reply = [error: unknown, value: unknown];

/** BullMQ answers with a job's id; a number below 0 in its place is a refusal. */
function toAdded(job: JobToAdd, [error, id]: Reply, taken: boolean): Added {
  if (error) return { error };
  if (typeof id === 'string' && (id === job.id || job.dedupe)) return { id, accepted: id === job.id && !taken };
  const seen = `Redis answered "${id}" for job "${job.id}"`;
  return {
    error: new IsletError('E_ENQUEUE_REFUSED', `Queue "${job.queue}" did not take a job: ${seen}. Enqueue it again.`),
  };
}

/** Creates what adds jobs over a connected client, with one BullMQ Queue for each queue name. */
export function createSender(client: Redis, prefix: string): Sender {
  const queues = new Map<string, Queue>();
  const registered = new Set<string>();
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

  /** Enters the queue where a job is looked for by its id. Not in the jobs' own batch: in a cluster it is elsewhere. */
  const register = async (queue: string) => {
    if (registered.has(queue)) return;
    await client.sadd(queuesKey(prefix), queue);
    registered.add(queue);
  };

  const add = async (jobs: readonly JobToAdd[]): Promise<Added[]> => {
    const name = jobs[0]?.queue;
    if (name === undefined) return [];
    const queue = open(name);
    const bullmqClient = await queue.getBackend().client;
    // In a transaction nobody takes the id between the question and the answer.
    const batch = jobs.some(({ ownId }) => ownId) ? bullmqClient.multi() : bullmqClient.pipeline();
    for (const job of jobs) {
      const keys = [job.id, `de:${job.id}`].map((key) => queueKey(prefix, name, key));
      // BullMQ's type of a batch names only the commands that it uses itself.
      if (job.ownId) (batch as unknown as ChainableCommander).exists(...keys);
      await new Job(queue, job.task, job.payload, toJobOptions(job), job.id).addJob(batch);
    }
    // The next send enters it again.
    const entered = register(name).catch(() => {});
    const replies = ((await batch.exec()) ?? []).values();
    await entered;
    const reply = (): Reply => replies.next().value ?? [new Error('no answer'), undefined];
    return jobs.map((job) => {
      const taken = job.ownId === true && Number(reply()[1]) > 0;
      return toAdded(job, reply(), taken);
    });
  };

  return {
    add,
    async send(jobs) {
      const added = await add(jobs);
      const failed = added.flatMap((one, index) => ('error' in one ? [{ id: jobs[index]?.id, error: one.error }] : []));
      if (failed.length === 0) return;
      const said = failed.map(({ id, error }) => `"${id}" (${error instanceof Error ? error.message : error})`);
      throw new IsletError(
        'E_ENQUEUE_REFUSED',
        `Queue "${jobs[0]?.queue}" did not confirm ${said.join(', ')}. Enqueue again with the same id.`,
        { cause: failed[0]?.error },
      );
    },
    async counts(name) {
      const states = ['wait', 'active', 'delayed', 'prioritized', 'failed', 'completed'] as const;
      const counts = await open(name).getJobCounts(...states);
      const { wait = 0, waiting = wait, active = 0, delayed = 0, prioritized = 0, failed = 0, completed = 0 } = counts;
      return { waiting, active, delayed, prioritized, failed, completed };
    },
    workers: (queue) => open(queue).getWorkersCount(),
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}
