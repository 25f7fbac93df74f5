import { Queue } from 'bullmq';
import type { ChainableCommander, Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { Added, JobToAdd, NewJob, QueueCounts } from './broker.ts';
import { deduplicationStart } from './bullmq-names.ts';
import { adderFactory, type JobAdder } from './job-adder.ts';
import { bullmqQueue, maxEvents, queuesKey } from './keys.ts';

export interface Sender {
  /** Adds jobs of one queue in one round trip, and says of each what became of it. */
  add(jobs: readonly JobToAdd[]): Promise<Added[]>;
  /** Adds jobs of one queue in one round trip. Throws `E_ENQUEUE_REFUSED`, with all ids that were not confirmed. */
  send(jobs: readonly NewJob[]): Promise<void>;
  counts(queue: string): Promise<QueueCounts>;
  workers(queue: string): Promise<number>;
  close(): Promise<void>;
}

type QueueOf = Queue<unknown, unknown, string, unknown, unknown, string, JobAdder>;
type BullmqClient = Awaited<JobAdder['client']>;
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

async function addOne(job: JobToAdd, adder: JobAdder): Promise<Added> {
  try {
    return toAdded(job, [undefined, await adder.add(job)], false);
  } catch (error) {
    return { error };
  }
}

/** Adds jobs whose ids others may have. In a transaction nobody takes an id between the question and the answer. */
async function addCarefully(jobs: readonly JobToAdd[], adder: JobAdder, client: BullmqClient): Promise<Added[]> {
  const batch = client.multi();
  for (const job of jobs) {
    const keys = [job.id, `${deduplicationStart}${job.id}`].map((key) => adder.toKey(key));
    // BullMQ's type of a batch names only the commands that it uses itself.
    if (job.ownId) (batch as unknown as ChainableCommander).exists(...keys);
    await adder.add(job, batch);
  }
  const replies = ((await batch.exec()) ?? []).values();
  const reply = (): Reply => replies.next().value ?? [new Error('no answer'), undefined];
  return jobs.map((job) => {
    const taken = job.ownId === true && Number(reply()[1]) > 0;
    return toAdded(job, reply(), taken);
  });
}

/** Creates what adds jobs over a connected client, with one BullMQ Queue for each queue name. */
export function createSender(client: Redis, prefix: string): Sender {
  const queues = new Map<string, QueueOf>();
  const registered = new Set<string>();
  const open = (name: string): QueueOf => {
    const known = queues.get(name);
    if (known) return known;
    const streams = { events: { maxLen: maxEvents } };
    const options = { connection: client, prefix, streams, skipVersionCheck: true };
    const queue: QueueOf = new Queue(bullmqQueue(name).name, options, adderFactory(client, prefix));
    // A lost connection is reported by the command that it hits.
    queue.on('error', () => {});
    queues.set(name, queue);
    return queue;
  };

  /** Enters the queue where a job is looked for by its id. Not in the jobs' own batch: in a cluster it is elsewhere. */
  const register = async (queue: string) => {
    await client.sadd(queuesKey(prefix), queue);
    registered.add(queue);
  };

  const add = async (jobs: readonly JobToAdd[]): Promise<Added[]> => {
    const name = jobs[0]?.queue;
    if (name === undefined) return [];
    const adder = open(name).getBackend();
    // The next send enters it again.
    const entered = registered.has(name) ? undefined : register(name).catch(() => {});
    const added = jobs.some(({ ownId }) => ownId)
      ? await addCarefully(jobs, adder, await adder.client)
      : await Promise.all(jobs.map((job) => addOne(job, adder)));
    await entered;
    return added;
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
