import type { Cancellation, CancelOptions } from '../broker/cancel.ts';
import { explainRedisError } from '../broker/connection.ts';
import { defaultPrefix } from '../broker/keys.ts';
import { openProducerConnection, type ProducerConnection } from '../broker/producer-connection.ts';
import type { JobToAdd } from '../broker/send.ts';
import { IsletError } from '../errors.ts';
import type { AnyTask, PayloadInput, ResultOutput } from '../manifest/define-task.ts';
import { type EnqueueOptions, isJobId } from './enqueue-options.ts';
import { prepareJob } from './prepare-job.ts';
import { readResult } from './result.ts';
import { type Confirmed, chunkSize, sendChunks } from './send-chunks.ts';

export interface JobHandle {
  /** The job's id; when it was not accepted, that of the job which stands for it. */
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  /** Whether this call made the job. False when its `id` or `dedupe` key stood for another one already. */
  readonly accepted: boolean;
}

export interface ResultHandle<Result> extends JobHandle {
  /**
   * Waits for the job's end: returns its result, or throws `TaskFailedError`. After `timeoutMs` milliseconds
   * (default: 30_000) throws `E_RESULT_TIMEOUT`; the job goes on.
   */
  result(options?: { timeoutMs?: number }): Promise<Result>;
}

/** A task without a `priority` takes none at enqueue. */
export type OptionsFor<M extends AnyTask> = M['priority'] extends number
  ? EnqueueOptions
  : Omit<EnqueueOptions, 'priority'> & { priority?: never };

/** Only jobs whose result is kept can be asked for it. */
export type HandleFor<M extends AnyTask, O> = M['keepResultMs'] extends number
  ? ResultHandle<ResultOutput<M>>
  : O extends { keepResultMs: number }
    ? ResultHandle<ResultOutput<M>>
    : JobHandle;

export interface ProducerOptions {
  /** A `redis://` or `rediss://` URL. */
  redis: string;
  /** What all keys start with; the same as the workers'. Default: "islet". */
  prefix?: string;
  /** Milliseconds after which an enqueue gives up on Redis. 100 or more. Default: 900. */
  timeoutMs?: number;
}

export interface Producer {
  /**
   * Enqueues one job. Throws `E_PAYLOAD_INVALID` and `E_ENQUEUE_OPTIONS_INVALID` (nothing was sent),
   * `E_REDIS_UNREACHABLE` (nothing was sent), `E_REDIS_REFUSED` (not in) or `E_ENQUEUE_UNCERTAIN` (it may be in:
   * repeat it with the id that the error names).
   */
  enqueue<M extends AnyTask, const O extends OptionsFor<M> = OptionsFor<M>>(
    manifest: M,
    payload: PayloadInput<M>,
    options?: O,
  ): Promise<HandleFor<M, O>>;
  /**
   * Enqueues many jobs in chunks of 500, after all were checked. When Redis did not confirm them all, throws an
   * `EnqueueError` whose `jobs` says which ids are in, which may be, and which were not sent.
   */
  enqueueMany<M extends AnyTask, const O extends OptionsFor<M> = OptionsFor<M>>(
    manifest: M,
    items: readonly ({ payload: PayloadInput<M> } & O)[],
  ): Promise<HandleFor<M, O>[]>;
  /**
   * Cancels a job by its id, from any process. A job that waits ends at once; the signal of a running one is aborted,
   * and it ends as cancelled, with no further attempt. May be repeated. Throws `E_JOB_AMBIGUOUS` when several queues
   * have a job of that id and none is named.
   */
  cancel(id: string, options?: CancelOptions): Promise<Cancellation>;
  /** How many jobs of a queue are in each state. */
  counts(queue: string): Promise<QueueCounts>;
  /** How many workers of a queue are connected. */
  workers(queue: string): Promise<number>;
  /** Closes the connections; waits for results end with `E_PRODUCER_CLOSED`, as does any later use. May be called twice. */
  close(): Promise<void>;
}

export interface QueueCounts {
  waiting: number;
  active: number;
  delayed: number;
  prioritized: number;
  failed: number;
  completed: number;
}

const defaultTimeoutMs = 900;

function toHandle(job: JobToAdd, sent: Confirmed, manifest: AnyTask, connection: ProducerConnection): JobHandle {
  const handle = { id: sent.id, task: job.task, queue: job.queue, accepted: sent.accepted };
  if (!job.keepResultMs) return handle;
  const result = (options: { timeoutMs?: number } = {}) =>
    readResult(connection, handle, manifest, options.timeoutMs ?? 30_000);
  return { ...handle, result } as ResultHandle<unknown>;
}

/** Creates what enqueues jobs. It connects at the first use and fails fast while Redis is away. */
export function createProducer(options: ProducerOptions): Producer {
  const { redis: url, prefix = defaultPrefix, timeoutMs = defaultTimeoutMs } = options;
  const connection = openProducerConnection({ url, prefix, timeoutMs });
  const ready = () => connection.sender();
  const sendAll = (jobs: JobToAdd[]) => {
    const deadline = Date.now() + timeoutMs;
    const limitMs = () => (jobs.length <= chunkSize ? Math.max(1, deadline - Date.now()) : 5 * timeoutMs);
    const add = async (chunk: readonly JobToAdd[]) => connection.within((await ready()).add(chunk), limitMs());
    return sendChunks(jobs, { url, ready, add });
  };
  const prepare = async (manifest: AnyTask, payload: unknown, rest: EnqueueOptions): Promise<JobToAdd> => ({
    ...(await prepareJob(manifest, payload, rest)),
    ownId: rest.id !== undefined,
  });
  const many = async (manifest: AnyTask, items: readonly ({ payload: unknown } & EnqueueOptions)[]) => {
    const jobs = await Promise.all(items.map(({ payload, ...rest }) => prepare(manifest, payload, rest)));
    const sent = await sendAll(jobs);
    return jobs.map((job, index) => toHandle(job, sent[index] as Confirmed, manifest, connection));
  };
  return {
    enqueue: async (manifest, payload, enqueueOptions) => {
      const [handle] = await many(manifest, [{ payload, ...(enqueueOptions as EnqueueOptions) }]);
      return handle as never;
    },
    enqueueMany: (manifest, items) => many(manifest, items) as never,
    async cancel(id, cancelOptions) {
      if (!isJobId(id)) return { found: 'nowhere' };
      try {
        return await connection.cancel(id, cancelOptions);
      } catch (error) {
        throw error instanceof IsletError ? error : explainRedisError(url, error);
      }
    },
    async counts(queue) {
      const counts = await (await ready()).counts(queue);
      const { wait = 0, waiting = wait, active = 0, delayed = 0, prioritized = 0, failed = 0, completed = 0 } = counts;
      return { waiting, active, delayed, prioritized, failed, completed };
    },
    workers: async (queue) => (await ready()).workers(queue),
    close: () => connection.close(),
  };
}
