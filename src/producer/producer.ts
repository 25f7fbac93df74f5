import type { CancelFound, JobToAdd, ProducerBroker, QueueCounts } from '../broker/broker.ts';
import { JobIdTakenError, TaskFailedError } from '../errors.ts';
import { checkOptions, checks, checkValue, expecting } from '../manifest/check-options.ts';
import type { Checked } from '../manifest/checked.ts';
import { nameOfQueue, type QueueManifest } from '../manifest/define-queue.ts';
import type { AnyTask, PayloadInput, ResultOutput } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';
import { parseResult } from '../manifest/parse-payload.ts';
import { currentMeta, type MetaSource } from './current-meta.ts';
import type { EnqueueOptions, EnqueueOptionsWithoutPriority } from './enqueue-options.ts';
import { type JobSnapshot, namesOf, readSnapshot, refuseAmbiguous } from './job-snapshot.ts';
import { noResult } from './no-result.ts';
import { prepareJob } from './prepare-job.ts';
import { listenDuring, type ProgressListener } from './progress-listener.ts';
import { type Confirmed, sendChunks } from './send-chunks.ts';

export interface JobHandle {
  /** The job's id; when the job was not accepted, the id of the one that stands for it. */
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  /** Whether this call made the job. False when its `id` or `dedupe` key stood for another job already. */
  readonly accepted: boolean;
}

export interface ResultOptions {
  /** Milliseconds to wait, from 0 to 2_147_483_647. Default: 30_000. */
  timeoutMs?: number;
  /**
   * Is called with what the task has reported so far, and then with each new progress, until the end of the wait. What it
   * throws is a warning of the process, and the wait goes on. Default: nobody hears of the progress.
   */
  onProgress?: (progress: unknown) => void;
}

export interface ResultHandle<Result> extends JobHandle {
  /**
   * Waits for the job's end: returns its result, or throws `TaskFailedError`. After `timeoutMs` throws
   * `E_RESULT_TIMEOUT`; the job goes on.
   */
  result(options?: ResultOptions): Promise<Result>;
}

type OptionsFor<M extends AnyTask> = M['priority'] extends number ? EnqueueOptions : EnqueueOptionsWithoutPriority;
type ItemFor<M extends AnyTask> = { payload: PayloadInput<M> } & OptionsFor<M>;

/** A handle with `result()` where the result is kept. */
export type HandleFor<M extends AnyTask, O> = M['keepResultMs'] extends number
  ? ResultHandle<ResultOutput<M>>
  : O extends { keepResultMs: number }
    ? ResultHandle<ResultOutput<M>>
    : JobHandle;

export interface CancelOptions {
  /**
   * The job's queue, by its name or its manifest; needed only when jobs of several queues have this id. Default: that of
   * `task`, where that is a manifest, or else all queues are looked through.
   */
  queue?: string | QueueManifest;
  /**
   * The job's task: a job of another one is not cancelled (`E_JOB_ID_TAKEN`). Its manifest also knows its former names; a
   * name is the one that the job has in Redis. Default: any task.
   */
  task?: string | AnyTask;
  /** Why the job is cancelled: part of its failed reason and of the task's `signal.reason`. Default: "on request". */
  reason?: string;
}

export interface Cancellation {
  /**
   * What became of it. `waiting`: it had not started, and has ended as cancelled. `running`: its worker has aborted its
   * signal, and it ends as cancelled. `asked`: it is a worker's, which has not answered in time, so that it may still
   * complete; repeat the call to hear more. `finished`: it ended otherwise before that, and was left alone. `nowhere`: no
   * queue has it; it may have completed and been removed.
   */
  found: CancelFound;
  queue?: string;
}

export interface JobOptions<M extends AnyTask = AnyTask> {
  /**
   * The queue to look in, by its name or its manifest: a job of another one is not found. Default: that of `task`, or else
   * all are looked through.
   */
  queue?: string | QueueManifest;
  /**
   * The job's task: types and checks the result (`E_RESULT_INVALID`); a job of another one is not read
   * (`E_JOB_ID_TAKEN`). Default: any task, and the result as it is stored.
   */
  task?: M;
}

export interface Producer {
  /**
   * Enqueues one job. Throws `E_PAYLOAD_INVALID` and `E_ENQUEUE_OPTIONS_INVALID` (nothing was sent),
   * `E_REDIS_UNREACHABLE` (nothing was sent), `E_REDIS_DENIED`, `E_REDIS_FULL`, `E_REDIS_NOT_READY`,
   * `E_REDIS_CLUSTERED` or `E_REDIS_REFUSED` (not in), or `E_ENQUEUE_UNCERTAIN` (it may be in: repeat it with the id that
   * the error names).
   */
  enqueue<M extends AnyTask, const O extends OptionsFor<M> = OptionsFor<M>>(
    manifest: M,
    payload: PayloadInput<M>,
    options?: Checked<O, OptionsFor<M>>,
  ): Promise<HandleFor<M, O>>;
  /**
   * Enqueues many jobs in chunks of 500, after all were checked. When Redis did not confirm them all, throws an
   * `EnqueueError` whose `jobs` says which ids are in, were refused, may be in, and were not sent.
   */
  enqueueMany<M extends AnyTask, const Item extends ItemFor<M> = ItemFor<M>>(
    manifest: M,
    items: readonly Checked<Item, { payload: PayloadInput<M> } & OptionsFor<M>>[],
  ): Promise<HandleFor<M, Item>[]>;
  /**
   * Cancels a job by its id, from any process. A job that waits ends at once; the signal of a running one is aborted,
   * and it ends as cancelled, with no further attempt. Waits for that worker's answer as long as an enqueue waits for
   * Redis. May be repeated. Throws `E_JOB_AMBIGUOUS` when several queues have a job of that id and none is named.
   */
  cancel(id: string, options?: CancelOptions): Promise<Cancellation>;
  /**
   * Reads a job by its id, from any process, in one round trip; also one that is done and removed, while its result is
   * kept. Returns undefined where nothing is known of it, as for an id that is looked for in a wrong queue. Throws
   * `E_JOB_AMBIGUOUS` when several queues know a job of that id and none is named, `E_JOB_ID_TAKEN` when it is a job of
   * another task than `task`, and `E_REDIS_UNREACHABLE` after the producer's `timeoutMs`. An id is no permission: whoever
   * has one learns all that is known of the job.
   */
  job<M extends AnyTask = AnyTask>(
    id: string,
    options?: JobOptions<M>,
  ): Promise<JobSnapshot<ResultOutput<M>> | undefined>;
  /** Counts the jobs of a queue, which is given by its name or its manifest, in each state. */
  counts(queue: string | QueueManifest): Promise<QueueCounts>;
  /** Counts the connected workers of a queue. */
  workers(queue: string | QueueManifest): Promise<number>;
  /** Closes the connections; waits for results end with `E_PRODUCER_CLOSED`, as does any later use. May be called twice. */
  close(): Promise<void>;
}

const itemList = expecting('a list of objects { payload, ... }', (items) => {
  // Not `every`, which leaves out the holes of a list.
  if (Array.isArray(items)) for (const item of items) if (checks.object(item)) return false;
  return Array.isArray(items);
});
const anyText = expecting('a text', (value) => typeof value === 'string');
const taskOrName = expecting(
  "a task's manifest or name",
  (value) => checks.text(value) === undefined || checks.task(value) === undefined,
);
const cancelChecks = { queue: checks.queue, task: taskOrName, reason: checks.text };
const jobChecks = { queue: checks.queue, task: checks.task };
const resultChecks = { timeoutMs: checks.timerMs(0), onProgress: checks.callable };

/** Opens a producer on a broker. An enqueue gives up after `timeoutMs` milliseconds. */
export function openProducer(broker: ProducerBroker, timeoutMs: number, metaOf?: MetaSource): Producer {
  const send = async (manifest: AnyTask, prepared: Promise<JobToAdd>[]) => {
    const jobs = await Promise.all(prepared);
    const sent = await sendChunks(jobs, broker, { timeoutMs, names: namesOf(manifest) });
    return jobs.map((job, index) => toHandle(job, sent[index] as Confirmed, manifest, broker));
  };
  const explained = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw broker.explain(error);
    });
  return {
    async enqueue(manifest, payload, options) {
      checkValue('The first argument of enqueue', manifest, checks.task, 'E_TASK_UNKNOWN');
      const meta = currentMeta(metaOf, manifest);
      const [handle] = await send(manifest, [prepare(manifest, payload, options as EnqueueOptions, meta)]);
      return handle as never;
    },
    async enqueueMany(manifest, items) {
      checkValue('The first argument of enqueueMany', manifest, checks.task, 'E_TASK_UNKNOWN');
      checkValue('The items of enqueueMany', items, itemList, 'E_ENQUEUE_OPTIONS_INVALID');
      const given = items as readonly ({ payload: unknown } & EnqueueOptions)[];
      const meta = currentMeta(metaOf, manifest);
      const prepared = given.map(({ payload, ...options }) => prepare(manifest, payload, options, meta));
      return (await send(manifest, prepared)) as never;
    },
    async cancel(id, cancelOptions = {}) {
      checkValue('The id of cancel', id, anyText);
      const given = checkOptions('An option of cancel', cancelOptions, [], cancelChecks, 'E_OPTIONS_INVALID');
      return explained(cancelJob(broker, id, given));
    },
    async job(id, jobOptions = {}) {
      checkValue('The id of job', id, anyText);
      const given = checkOptions('An option of job', jobOptions, [], jobChecks, 'E_OPTIONS_INVALID');
      return explained(readSnapshot(broker, id, given)) as never;
    },
    async counts(queue) {
      checkValue('The queue of counts', queue, checks.queue);
      return explained(broker.counts(queue));
    },
    async workers(queue) {
      checkValue('The queue of workers', queue, checks.queue);
      return explained(broker.workers(queue));
    },
    close: () => broker.close(),
  };
}

async function prepare(
  manifest: AnyTask,
  payload: unknown,
  options: EnqueueOptions | undefined,
  meta: JobMeta | undefined,
): Promise<JobToAdd> {
  const job: JobToAdd = await prepareJob(manifest, payload, options, meta);
  if (options?.id !== undefined) job.ownId = true;
  return job;
}

function toHandle(job: JobToAdd, sent: Confirmed, manifest: AnyTask, broker: ProducerBroker): JobHandle {
  const handle = { id: sent.id, task: job.task, queue: job.queue, accepted: sent.accepted };
  if (!job.keepResultMs) return handle;
  const result = async (options: ResultOptions = {}) => {
    checkOptions('An option of result', options, [], resultChecks, 'E_OPTIONS_INVALID');
    return readResult(broker, handle, manifest, options);
  };
  return { ...handle, result } as ResultHandle<unknown>;
}

async function readResult(broker: ProducerBroker, job: JobHandle, manifest: AnyTask, options: ResultOptions) {
  const { timeoutMs = 30_000, onProgress } = options;
  const queue = { name: job.queue, bullmq: manifest.bullmq };
  const wait = (hear?: ProgressListener['hear']) => broker.awaitResult(queue, job.id, timeoutMs, hear);
  const stored = await (onProgress ? listenDuring(job.id, wait, onProgress) : wait());
  if (!stored) throw noResult(job, timeoutMs, await broker.findPlace(queue, job.id));
  // A worker of an earlier version names no task.
  if (stored.task !== undefined && !namesOf(manifest).includes(stored.task)) {
    throw new JobIdTakenError(job, stored.task, 'Its result was not read.');
  }
  if (!stored.ok) throw new TaskFailedError(job.id, stored);
  return parseResult(manifest, stored.result);
}

async function cancelJob(broker: ProducerBroker, id: string, options: CancelOptions): Promise<Cancellation> {
  const { task, reason } = options;
  const manifest = typeof task === 'object' ? task : undefined;
  const queue = options.queue ?? (manifest && { name: manifest.queue, bullmq: manifest.bullmq });
  const names = manifest ? namesOf(manifest) : typeof task === 'string' ? ([task] as const) : undefined;
  const queues = queue === undefined ? await broker.findQueues(id) : [queue];
  const [only] = queues;
  if (only === undefined) return { found: 'nowhere' };
  refuseAmbiguous(queues.map(nameOfQueue), id, 'Nothing was cancelled.');
  const found = await broker.cancel(only, id, { reason: reason || 'on request', task: names });
  return found === 'nowhere' ? { found } : { found, queue: nameOfQueue(only) };
}
