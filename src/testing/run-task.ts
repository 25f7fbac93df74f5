import type { Delivery, NewJob } from '../broker/broker.ts';
import { IsletError } from '../errors.ts';
import { JobAbort } from '../job-abort.ts';
import { checks, expecting } from '../manifest/check-options.ts';
import { workerDefaults } from '../manifest/defaults.ts';
import type { AnyTask, PayloadInput, ResultOutput } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';
import { deriveJobId } from '../producer/job-id.ts';
import { prepareJob, writePayload } from '../producer/prepare-job.ts';
import { isError, messageOf } from '../thrown.ts';
import { executeTask } from '../worker/execute-task.ts';
import { createEnqueue } from '../worker/job-context.ts';
import { classify, toResultJson } from '../worker/outcome.ts';
import { type Enqueue, type Task, verdicts } from '../worker/task-context.ts';
import { checkGiven, checkGivenOptions, copyMeta, metaCheck } from './check-given.ts';
import { createFakeDeps, type Fakes, silentLog } from './fakes.ts';

export interface RunTaskOptions<Dependencies extends object> {
  /**
   * What the task finds in `deps`. Reading another one, or a missing member of a fake that is written as an object of
   * functions, throws `E_FAKE_MISSING` in the task. Default: nothing.
   */
  deps?: Fakes<Dependencies>;
  /**
   * The number of the attempt: an integer from 1, else `E_TEST_INVALID`. The task sees it, and from the manifest's
   * `attempts` on a failure is `failed`, not `retry`. Default: 1.
   */
  attempt?: number;
  /**
   * What the task sees as its `signal`. Nothing else follows from an abort: a task that goes on completes. Default: a
   * signal that never aborts.
   */
  signal?: AbortSignal;
  /**
   * What the task sees as its `meta`, and the jobs that it enqueues inherit: what `createProducer({ meta })` may return, else
   * `E_TEST_INVALID`. Default: none.
   */
  meta?: JobMeta;
}

/** A job that a task enqueued, checked and prepared as a producer does. */
export type ChildJob = Readonly<
  Pick<NewJob, 'id' | 'task' | 'queue' | 'delayMs' | 'priority' | 'keepResultMs' | 'meta'> & { payload: unknown }
>;

/** How the job would have ended in a worker. */
export type TaskOutcome<Result> = (
  | { kind: 'completed'; result: Result }
  | { kind: 'retry'; error: Error; delayMs: number }
  | { kind: 'failed'; error: Error }
  | { kind: 'snoozed'; delayMs: number }
  | { kind: 'rateLimited'; delayMs: number }
) & {
  /** The jobs that the task enqueued, in their order, however it ended; undefined when it enqueued none. */
  enqueued?: readonly ChildJob[];
};

/** Accepts what `implement` returns. */
export const implementation = expecting(
  'what implement() returns',
  (value) => (value as { kind?: unknown } | undefined)?.kind === 'implementation',
);
const runChecks = {
  deps: checks.object,
  attempt: checks.integer(1),
  signal: expecting('an AbortSignal', (value) => value instanceof AbortSignal),
  meta: metaCheck,
};

/** The id of the one job that a task is run for. */
const testJobId = 'test-job';

function createDelivery({ name, queue, version }: AnyTask, input: unknown, { attempt, meta }: RunOnce): Delivery {
  return {
    queue,
    task: name,
    jobId: testJobId,
    input,
    version,
    memory: { started: undefined, releases: [], crashes: [], cancel: undefined, unknownSince: undefined, unsettled: 0 },
    enqueuedAt: 0,
    startedAt: 0,
    meta,
    attempt,
    keepResultMs: undefined,
    abort: new JobAbort(),
    reportProgress: async () => {},
    markStarted: async () => true,
  };
}

/** A run of a test is never given back, so that these limits say nothing. */
const rules = { limits: workerDefaults, clock: { now: () => Date.now() } };

function toOutcome(delivery: Delivery, manifest: AnyTask, thrown: unknown): TaskOutcome<never> {
  const outcome = classify(delivery, manifest, thrown, true, rules);
  if (outcome.kind === 'snoozed' || outcome.kind === 'rateLimited') return outcome;
  const error = isError(thrown) ? thrown : new Error(messageOf(thrown));
  if (outcome.kind === 'retry') return { kind: 'retry', error, delayMs: outcome.delayMs };
  if (!('failure' in outcome) || !outcome.failure.code.startsWith('E_VERDICT_')) return { kind: 'failed', error };
  return {
    kind: 'failed',
    error: new IsletError(outcome.failure.code, outcome.failure.causeMessage, { cause: error }),
  };
}

/** Creates the `enqueue` of one run: its jobs are prepared as in a worker, and handed to `keep` instead of Redis. */
export function createTestEnqueue(parentMeta: JobMeta, keep: (job: ChildJob) => void): Enqueue {
  const send = async (jobs: NewJob[]) => {
    for (const { payloadJson, id, task, queue, delayMs, priority, keepResultMs, meta } of jobs) {
      keep({ id, task, queue, payload: JSON.parse(payloadJson), delayMs, priority, keepResultMs, meta });
    }
  };
  return createEnqueue({ key: testJobId, meta: parentMeta }, { deriveId: deriveJobId, prepare: prepareJob, send });
}

/** What one run of a task is given. */
interface RunOnce {
  deps: object;
  attempt: number;
  signal: AbortSignal;
  meta: JobMeta;
  enqueue: Enqueue;
}

/** Runs a task once with all that it is given. The payload travels as JSON, as it would through Redis. Never throws. */
export async function runOnce<M extends AnyTask, Dependencies extends object>(
  task: Task<M, Dependencies>,
  payload: unknown,
  given: RunOnce,
): Promise<TaskOutcome<ResultOutput<M>>> {
  const { manifest } = task;
  const delivery = createDelivery(manifest, payload, given);
  try {
    const input: unknown = JSON.parse(writePayload(manifest, payload));
    const loadable = { manifest, load: async () => task as unknown as Task };
    const context = {
      ...given,
      jobId: testJobId,
      log: silentLog,
      progress: () => {},
      ...verdicts,
    };
    const result = await executeTask(loadable, input, context);
    toResultJson(manifest, result);
    return { kind: 'completed', result: result as ResultOutput<M> };
  } catch (thrown) {
    return toOutcome(delivery, manifest, thrown);
  }
}

/**
 * Runs a task once, without Redis: the payload travels as JSON and is parsed, the result is checked, and what is thrown
 * is classified, all as in a worker. There is no time-out. Never throws for what the task does; throws `E_TEST_INVALID`
 * for a wrong option.
 */
export async function runTask<M extends AnyTask, Dependencies extends object>(
  task: Task<M, Dependencies>,
  payload: PayloadInput<M>,
  options: RunTaskOptions<Dependencies> = {},
): Promise<TaskOutcome<ResultOutput<M>>> {
  checkGiven('The task of runTask', task, implementation);
  const given = checkGivenOptions('runTask', options, runChecks);
  const { deps = {}, attempt = 1, signal = new AbortController().signal } = given;
  const meta = copyMeta(given.meta);
  const enqueued: ChildJob[] = [];
  const outcome = await runOnce(task, payload, {
    deps: createFakeDeps(`Task "${task.manifest.name}"`, deps),
    attempt,
    signal,
    meta,
    enqueue: createTestEnqueue(meta, (job) => enqueued.push(job)),
  });
  return enqueued.length > 0 ? { ...outcome, enqueued } : outcome;
}
