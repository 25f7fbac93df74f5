import { Queue } from 'bullmq';
import type { ChainableCommander, Redis } from 'ioredis';
import { IsletError } from '../errors.ts';
import type { Added, JobToAdd, NewJob, QueueCounts } from './broker.ts';
import { deduplicationStart, jobFields, keyNames } from './bullmq-names.ts';
import { JobAdder } from './job-adder.ts';
import { idTaskName, maxEvents, placeOf, type QueuePlace, queueKey } from './keys.ts';
import { isUnknownScript } from './lua.ts';
import { QueueHandle } from './queue-handle.ts';
import { isOwn, registerPlace, showPlace, tellDifference } from './queue-places.ts';
import type { SharedClock } from './redis-clock.ts';
import { isPartly } from './refusals.ts';
import { undoAdd } from './undo-add.ts';

/** A worker that starts removes a place that is left behind. A producer that still uses it adds it again after this time. */
const registerEveryMs = 60_000;

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

/**
 * Adds jobs whose ids others may have, in a transaction: nobody takes an id between the question and the answer. A key
 * remembers the task of such an id for as long as the id stands for its job.
 */
async function addCarefully(jobs: readonly JobToAdd[], adder: JobAdder): Promise<Added[]> {
  const added = await addTogether(jobs, adder, false);
  const isForgotten = (one: Added) => 'error' in one && isUnknownScript(one.error);
  const forgotten = jobs.filter((_, index) => isForgotten(added[index] as Added));
  if (forgotten.length === 0) return added;
  const again = (await addTogether(forgotten, adder, true)).values();
  return added.map((one) => (isForgotten(one) ? (again.next().value ?? one) : one));
}

async function addTogether(jobs: readonly JobToAdd[], adder: JobAdder, byText: boolean): Promise<Added[]> {
  const batch = (await adder.client).multi();
  if (byText) adder.addByText(batch);
  // BullMQ's type of a batch names only the commands that it uses itself.
  const commands = batch as unknown as ChainableCommander;
  for (const job of jobs) {
    const [key, dedupeKey, taskKey] = keysOfId(job.id, adder);
    if (job.ownId) commands.exists(key, dedupeKey).hget(key, jobFields.name).get(taskKey);
    await adder.add(job, batch);
    if (job.ownId && job.idempotencyMs) commands.set(taskKey, job.task, 'PX', job.idempotencyMs, 'NX');
  }
  const replies = ((await batch.exec()) ?? []).values();
  const reply = () => replies.next().value ?? [new Error('no answer')];
  return jobs.map((job) => {
    const [taken, name, task] = job.ownId ? [reply(), reply(), reply()].map(([, said]) => said) : [];
    const [error, id] = reply();
    if (job.ownId && job.idempotencyMs) reply();
    if (error) return { error };
    const added = toAdded(job, id, Number(taken) > 0);
    return Number(taken) > 0 ? { ...added, task: name ?? task ?? undefined } : added;
  });
}

function keysOfId(id: string, adder: JobAdder): [job: string, dedupe: string, task: string] {
  return [adder.toKey(id), adder.toKey(`${deduplicationStart}${id}`), adder.toKey(idTaskName(id))];
}

/** Adds jobs over a connected client, with one BullMQ Queue for each queue. */
export class Sender {
  readonly #client: Redis;
  readonly #clock: SharedClock | undefined;
  readonly #prefix: string;
  readonly #queues = new Map<string, QueueOf>();
  /** When each queue was added last to the set of all queues, on the clock of `performance`. */
  readonly #registered = new Map<string, number>();
  /** What was said of queues that are elsewhere for others. */
  readonly #differences = new Set<string>();

  constructor(client: Redis, prefix: string, clock?: SharedClock) {
    this.#client = client;
    this.#clock = clock;
    this.#prefix = prefix;
  }

  #open(place: QueuePlace): QueueOf {
    const { name, prefix } = place;
    const known = this.#queues.get(showPlace(place));
    if (known) return known;
    const handle = new QueueHandle(this.#client, place, this.#clock);
    const options = {
      connection: this.#client,
      prefix,
      streams: { events: { maxLen: maxEvents } },
      skipVersionCheck: true,
      // An existing queue of BullMQ's keeps as many events as its owner says.
      skipMetasUpdate: !isOwn(place),
    };
    const queue: QueueOf = new Queue(name, options, (_name, given) => new JobAdder(handle, given));
    // The command that a lost connection hits reports it.
    queue.on('error', () => {});
    this.#queues.set(showPlace(place), queue);
    return queue;
  }

  /** Adds jobs of one queue in one round trip, and says of each what became of it. */
  async add(jobs: readonly JobToAdd[]): Promise<Added[]> {
    const [first] = jobs;
    if (!first) return [];
    const place = placeOf({ name: first.queue, bullmq: first.bullmq }, this.#prefix);
    const adder = this.#open(place).getBackend();
    // A queue that cannot be registered now is registered with the next jobs.
    const registered = this.#isRegistered(place) ? undefined : this.#register(place).catch(() => {});
    const added = jobs.some(({ ownId }) => ownId)
      ? await addCarefully(jobs, adder)
      : await Promise.all(jobs.map((job) => addOne(job, adder)));
    await registered;
    if (!added.some((one) => 'error' in one && isPartly(one.error))) return added;
    const queue = new QueueHandle(this.#client, place, this.#clock);
    const undone = added.map((one, index) =>
      'error' in one && isPartly(one.error) ? undoAdd(queue, jobs[index] as JobToAdd, one.error) : one,
    );
    return Promise.all(undone);
  }

  #isRegistered(place: QueuePlace): boolean {
    const at = this.#registered.get(showPlace(place));
    return at !== undefined && performance.now() - at < registerEveryMs;
  }

  /**
   * Adds the queue to the set of all queues, in which a job is looked up by its id and a worker sees where producers send
   * its jobs. In a cluster the set is in another slot, so this takes a command of its own.
   */
  async #register(place: QueuePlace): Promise<void> {
    const others = await registerPlace(this.#client, place);
    this.#registered.set(showPlace(place), performance.now());
    for (const other of others) {
      const difference = tellDifference(place, other);
      if (this.#differences.has(difference)) continue;
      this.#differences.add(difference);
      process.emitWarning(difference, { type: 'IsletWarning', code: 'ISLET_QUEUE_ELSEWHERE' });
    }
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

  async counts(place: QueuePlace): Promise<QueueCounts> {
    const states = ['wait', 'active', 'delayed', 'prioritized', 'failed', 'completed'] as const;
    const [counts, paused] = await Promise.all([
      this.#open(place).getJobCounts(...states),
      // The jobs of a queue that BullMQ 5 has paused wait, too, and BullMQ 6 does not count them.
      this.#client.llen(queueKey(place, keyNames.paused)),
    ]);
    const { wait = 0, waiting = wait, active = 0, delayed = 0, prioritized = 0, failed = 0, completed = 0 } = counts;
    return { waiting: waiting + paused, active, delayed, prioritized, failed, completed };
  }

  /** Counts the workers of a queue that use this database: those of others may have the same name. */
  async workers(place: QueuePlace): Promise<number> {
    const { db: ours = 0 } = this.#client.options;
    const workers = (await this.#open(place).getWorkers()) as { db?: string }[];
    return workers.filter(({ db = ours }) => Number(db) === ours).length;
  }
}
