import { Queue } from 'bullmq';
import type { ChainableCommander, Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { Added, JobToAdd, NewJob, QueueCounts } from './broker.ts';
import { deduplicationStart } from './bullmq-names.ts';
import { JobAdder } from './job-adder.ts';
import { bullmqQueue, maxEvents, queuesKey } from './keys.ts';
import { QueueHandle } from './queue-handle.ts';

type QueueOf = Queue<unknown, unknown, string, unknown, unknown, string, JobAdder>;

/** Reads BullMQ's answer: a job's id, or a number below 0 for a refusal. */
function toAdded(job: JobToAdd, id: unknown, taken: boolean): Added {
  if (typeof id === 'string' && (id === job.id || job.dedupe)) return { id, accepted: id === job.id && !taken };
  const seen = `Redis answered "${id}" for job "${job.id}"`;
  return {
    error: new IsletError('E_ENQUEUE_REFUSED', `Queue "${job.queue}" did not take a job: ${seen}. Enqueue it again.`),
  };
}

async function addOne(job: JobToAdd, adder: JobAdder): Promise<Added> {
  try {
    return toAdded(job, await adder.add(job), false);
  } catch (error) {
    return { error };
  }
}

/** Adds jobs whose ids others may have, in a transaction: nobody takes an id between the question and the answer. */
async function addCarefully(jobs: readonly JobToAdd[], adder: JobAdder): Promise<Added[]> {
  const batch = (await adder.client).multi();
  for (const job of jobs) {
    const keys = [job.id, `${deduplicationStart}${job.id}`].map((key) => adder.toKey(key));
    // BullMQ's type of a batch names only the commands that it uses itself.
    if (job.ownId) (batch as unknown as ChainableCommander).exists(...keys);
    await adder.add(job, batch);
  }
  const replies = ((await batch.exec()) ?? []).values();
  const reply = () => replies.next().value ?? [new Error('no answer')];
  return jobs.map((job) => {
    const taken = job.ownId === true && Number(reply()[1]) > 0;
    const [error, id] = reply();
    return error ? { error } : toAdded(job, id, taken);
  });
}

/** Adds jobs over a connected client, with one BullMQ Queue for each queue. */
export class Sender {
  readonly #client: Redis;
  readonly #prefix: string;
  readonly #queues = new Map<string, QueueOf>();
  readonly #registered = new Set<string>();

  constructor(client: Redis, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  #open(name: string): QueueOf {
    const known = this.#queues.get(name);
    if (known) return known;
    const handle = new QueueHandle(this.#client, this.#prefix, name);
    const streams = { events: { maxLen: maxEvents } };
    const options = { connection: this.#client, prefix: this.#prefix, streams, skipVersionCheck: true };
    const queue: QueueOf = new Queue(bullmqQueue(name).name, options, (_name, given) => new JobAdder(handle, given));
    // The command that a lost connection hits reports it.
    queue.on('error', () => {});
    this.#queues.set(name, queue);
    return queue;
  }

  /** Adds jobs of one queue in one round trip, and says of each what became of it. */
  async add(jobs: readonly JobToAdd[]): Promise<Added[]> {
    const name = jobs[0]?.queue;
    if (name === undefined) return [];
    const adder = this.#open(name).getBackend();
    // A queue that cannot be registered now is registered with the next jobs.
    const registered = this.#registered.has(name) ? undefined : this.#register(name).catch(() => {});
    const added = jobs.some(({ ownId }) => ownId)
      ? await addCarefully(jobs, adder)
      : await Promise.all(jobs.map((job) => addOne(job, adder)));
    await registered;
    return added;
  }

  /**
   * Adds the queue to the set of all queues, in which a job is looked up by its id. In a cluster the set is in another
   * slot, so this takes a command of its own.
   */
  async #register(name: string): Promise<void> {
    await this.#client.sadd(queuesKey(this.#prefix), name);
    this.#registered.add(name);
  }

  /** Adds jobs of one queue in one round trip. Throws `E_ENQUEUE_REFUSED`, with all ids that were not confirmed. */
  async send(jobs: readonly NewJob[]): Promise<void> {
    const added = await this.add(jobs);
    const failed = added.flatMap((one, index) => ('error' in one ? [{ id: jobs[index]?.id, error: one.error }] : []));
    if (failed.length === 0) return;
    const said = failed.map(({ id, error }) => `"${id}" (${error instanceof Error ? error.message : error})`);
    throw new IsletError(
      'E_ENQUEUE_REFUSED',
      `Queue "${jobs[0]?.queue}" did not confirm ${said.join(', ')}. Enqueue again with the same id.`,
      { cause: failed[0]?.error },
    );
  }

  async counts(name: string): Promise<QueueCounts> {
    const states = ['wait', 'active', 'delayed', 'prioritized', 'failed', 'completed'] as const;
    const counts = await this.#open(name).getJobCounts(...states);
    const { wait = 0, waiting = wait, active = 0, delayed = 0, prioritized = 0, failed = 0, completed = 0 } = counts;
    return { waiting, active, delayed, prioritized, failed, completed };
  }

  workers(name: string): Promise<number> {
    return this.#open(name).getWorkersCount();
  }
}
