import type { Delivery } from '../broker/broker.ts';
import { IsletError } from '../errors.ts';
import { JobAbort } from '../job-abort.ts';
import { workerDefaults } from '../manifest/defaults.ts';
import type { AnyTask, PayloadInput, ResultOutput } from '../manifest/define-task.ts';
import type { EnqueuePort } from '../worker/enqueue-port.ts';
import { executeTask } from '../worker/execute-task.ts';
import { classify, completed } from '../worker/outcome.ts';
import { type Task, verdicts } from '../worker/task-context.ts';
import { createFakeDeps, type Fakes, silentLog } from './fakes.ts';

export interface RunTaskOptions<Dependencies extends object> {
  /** What the task finds in `deps`; reading another one throws `E_FAKE_MISSING`. Default: nothing. */
  deps?: Fakes<Dependencies>;
  /** Numbered from 1. Default: 1. */
  attempt?: number;
  /** Default: one that never aborts. */
  signal?: AbortSignal;
}

/** How the job would have ended in a worker. */
export type TaskOutcome<Result> =
  | { kind: 'completed'; result: Result }
  | { kind: 'retry'; error: Error; delayMs: number }
  | { kind: 'failed'; error: Error }
  | { kind: 'snoozed'; delayMs: number }
  | { kind: 'rateLimited'; delayMs: number };

/** The id of the one job that a task is run for. */
export const testJobId = 'test-job';

function createDelivery({ name, queue, version }: AnyTask, input: unknown, attempt: number): Delivery {
  return {
    queue,
    task: name,
    jobId: testJobId,
    input,
    version,
    memory: { started: undefined, releases: [], crashes: [], cancel: undefined, unknownSince: undefined },
    enqueuedAt: 0,
    attempt,
    keepResultMs: undefined,
    abort: new JobAbort(),
    reportProgress: async () => {},
    markStarted: async () => true,
  };
}

function toOutcome(delivery: Delivery, manifest: AnyTask, thrown: unknown): TaskOutcome<never> {
  const outcome = classify(delivery, manifest, thrown, { started: true, limits: workerDefaults });
  if (outcome.kind === 'snoozed' || outcome.kind === 'rateLimited') return outcome;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (outcome.kind === 'retry') return { kind: 'retry', error, delayMs: outcome.delayMs };
  if (!('failure' in outcome) || outcome.failure.code !== 'E_VERDICT_REFUSED') return { kind: 'failed', error };
  return {
    kind: 'failed',
    error: new IsletError(outcome.failure.code, outcome.failure.causeMessage, { cause: error }),
  };
}

/** What one run of a task is given, its dependencies as they are. */
export interface RunOnce {
  deps: object;
  attempt: number;
  signal: AbortSignal;
  enqueue: EnqueuePort['enqueue'];
}

/** Runs a task once with all that it is given. Never throws. */
export async function runOnce<M extends AnyTask, Dependencies extends object>(
  task: Task<M, Dependencies>,
  payload: unknown,
  { deps, attempt, signal, enqueue }: RunOnce,
): Promise<TaskOutcome<ResultOutput<M>>> {
  const { manifest } = task;
  const delivery = createDelivery(manifest, payload, attempt);
  try {
    const loadable = { manifest, load: async () => task as unknown as Task };
    const context = {
      deps,
      signal,
      attempt,
      jobId: testJobId,
      log: silentLog,
      progress: () => {},
      enqueue,
      ...verdicts,
    };
    const result = await executeTask(loadable, { input: payload, context });
    completed(delivery, manifest, result);
    return { kind: 'completed', result: result as ResultOutput<M> };
  } catch (thrown) {
    return toOutcome(delivery, manifest, thrown);
  }
}

/** Runs a task once, without Redis, as a worker would: payload parsed, result checked. Never throws. */
export async function runTask<M extends AnyTask, Dependencies extends object>(
  task: Task<M, Dependencies>,
  payload: PayloadInput<M>,
  options: RunTaskOptions<Dependencies> = {},
): Promise<TaskOutcome<ResultOutput<M>>> {
  const { deps = {}, attempt = 1, signal = new AbortController().signal } = options;
  const enqueue = async () => ({ id: 'enqueued-by-a-test' });
  return runOnce(task, payload, {
    deps: createFakeDeps(`Task "${task.manifest.name}"`, deps),
    attempt,
    signal,
    enqueue,
  });
}
