import type { NewJob } from '../broker/broker.ts';
import { explainRedisError } from '../broker/connection.ts';
import { defaultPrefix } from '../broker/keys.ts';
import { openProducerConnection, type ProducerConnection } from '../broker/producer-connection.ts';
import { EnqueueError, type EnqueueProgress, IsletError } from '../errors.ts';
import type { AnyTask, PayloadInput, ResultOutput } from '../manifest/define-task.ts';
import { type EnqueueOptions, prepareJob } from './prepare-job.ts';
import { readResult } from './result.ts';

export interface JobHandle {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
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
   * Enqueues many jobs in chunks of 500, after all were checked. A failure half-way throws an `EnqueueError` whose
   * `jobs` says which ids are in, which may be, and which were not sent.
   */
  enqueueMany<M extends AnyTask, const O extends OptionsFor<M> = OptionsFor<M>>(
    manifest: M,
    items: readonly ({ payload: PayloadInput<M> } & O)[],
  ): Promise<HandleFor<M, O>[]>;
  /** How many jobs of a queue are in each state. */
  counts(queue: string): Promise<QueueCounts>;
  /** How many workers of a queue are connected. */
  workers(queue: string): Promise<number>;
  /** Closes the connections. May be called twice. */
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

const chunkSize = 500;
const defaultTimeoutMs = 900;

function uncertain(url: string, error: unknown, progress: EnqueueProgress): IsletError {
  const known = error instanceof IsletError ? error : explainRedisError(url, error);
  const { accepted, uncertain: maybe, notSent } = progress;
  if (known.code !== 'E_REDIS_UNREACHABLE') {
    if (accepted.length === 0) return known;
    const jobs = { accepted, uncertain: [], notSent: [...maybe, ...notSent] };
    return new EnqueueError(known.code, `${known.message} ${accepted.length} jobs are in; send the rest again.`, jobs);
  }
  const shown =
    maybe.length === 1 ? `Job "${maybe[0]}"` : `Of the jobs, ${accepted.length} are in, and ${maybe.length}`;
  const message =
    `${shown} may be in queue: Redis did not answer (${known.message}) ` +
    `Enqueue ${maybe.length === 1 ? 'it' : 'these'} again with the same id: it is not made twice.` +
    (notSent.length > 0 ? ` ${notSent.length} were not sent.` : '');
  return new EnqueueError('E_ENQUEUE_UNCERTAIN', message, progress, { cause: error });
}

async function sendChunks(
  jobs: NewJob[],
  url: string,
  send: (chunk: NewJob[]) => Promise<void>,
  prepare: () => Promise<void>,
) {
  for (let start = 0; start < jobs.length; start += chunkSize) {
    const ids = (from: number, to?: number) => jobs.slice(from, to).map((job) => job.id);
    const chunk = jobs.slice(start, start + chunkSize);
    try {
      await prepare();
    } catch (error) {
      if (start === 0) throw error;
      const jobsNow = { accepted: ids(0, start), uncertain: [], notSent: ids(start) };
      const message = `${(error as Error).message} ${start} jobs are in, ${jobs.length - start} were not sent.`;
      throw new EnqueueError('E_REDIS_UNREACHABLE', message, jobsNow, { cause: error });
    }
    try {
      await send(chunk);
    } catch (error) {
      const end = start + chunk.length;
      throw uncertain(url, error, { accepted: ids(0, start), uncertain: ids(start, end), notSent: ids(end) });
    }
  }
}

function toHandle(job: NewJob, manifest: AnyTask, connection: ProducerConnection): JobHandle {
  const handle = { id: job.id, task: job.task, queue: job.queue };
  if (!job.keepResultMs) return handle;
  const result = (options: { timeoutMs?: number } = {}) =>
    readResult(connection, handle, manifest, options.timeoutMs ?? 30_000);
  return { ...handle, result } as ResultHandle<unknown>;
}

/** Creates what enqueues jobs. It connects at the first use and fails fast while Redis is away. */
export function createProducer(options: ProducerOptions): Producer {
  const { redis: url, prefix = defaultPrefix, timeoutMs = defaultTimeoutMs } = options;
  const connection = openProducerConnection({ url, prefix, timeoutMs });
  const connected = () => connection.sender();
  const sendAll = async (jobs: NewJob[]) => {
    const deadline = Date.now() + timeoutMs;
    const perChunk = () => (jobs.length <= chunkSize ? Math.max(1, deadline - Date.now()) : 5 * timeoutMs);
    const send = async (chunk: NewJob[]) => connection.within((await connected()).send(chunk), perChunk());
    await sendChunks(jobs, url, send, async () => void (await connected()));
  };
  const many = async (manifest: AnyTask, items: readonly ({ payload: unknown } & EnqueueOptions)[]) => {
    const jobs = await Promise.all(items.map(({ payload, ...rest }) => prepareJob(manifest, payload, rest)));
    await sendAll(jobs);
    return jobs.map((job) => toHandle(job, manifest, connection));
  };
  return {
    enqueue: async (manifest, payload, enqueueOptions) => {
      const [handle] = await many(manifest, [{ payload, ...(enqueueOptions as EnqueueOptions) }]);
      return handle as never;
    },
    enqueueMany: (manifest, items) => many(manifest, items) as never,
    async counts(queue) {
      const counts = await (await connected()).counts(queue);
      const { wait = 0, waiting = wait, active = 0, delayed = 0, prioritized = 0, failed = 0, completed = 0 } = counts;
      return { waiting, active, delayed, prioritized, failed, completed };
    },
    workers: async (queue) => (await connected()).workers(queue),
    close: () => connection.close(),
  };
}
