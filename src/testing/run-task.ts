import type { Delivery } from '../broker/broker.ts';
import { IsletError } from '../errors.ts';
import { workerDefaults } from '../manifest/defaults.ts';
import type { AnyTask, PayloadInput, ResultOutput } from '../manifest/define-task.ts';
import { executeTask } from '../worker/execute-task.ts';
import { classify, completed } from '../worker/outcome.ts';
import { type Task, type TaskContext, verdicts } from '../worker/task-context.ts';

export interface RunTaskOptions<Dependencies extends object> {
  /** What the task finds in `deps`. Default: nothing. */
  deps?: Partial<Dependencies>;
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

const silent = () => {};
const silentLog = {
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
} as unknown as TaskContext['log'];

function createContext(attempt: number, signal: AbortSignal): Omit<TaskContext, 'deps'> {
  const enqueue = async () => ({ id: 'enqueued-by-a-test' });
  return { signal, attempt, jobId: 'test-job', log: silentLog, progress: silent, enqueue, ...verdicts };
}

function createDelivery({ name, queue, version }: AnyTask, input: unknown, attempt: number): Delivery {
  return {
    queue,
    task: name,
    jobId: 'test-job',
    input,
    version,
    memory: { started: undefined, releases: [], crashes: [], cancel: undefined, unknownSince: undefined },
    enqueuedAt: Date.now(),
    attempt,
    keepResultMs: undefined,
    abort: new AbortController(),
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

/** Runs a task once, without Redis, as a worker would: payload parsed, result checked. Never throws. */
export async function runTask<M extends AnyTask, Dependencies extends object>(
  task: Task<M, Dependencies>,
  payload: PayloadInput<M>,
  options: RunTaskOptions<Dependencies> = {},
): Promise<TaskOutcome<ResultOutput<M>>> {
  const { deps = {}, attempt = 1, signal = new AbortController().signal } = options;
  const { manifest } = task;
  const openScope = () => ({ cradle: deps, dispose: async () => {} });
  const delivery = createDelivery(manifest, payload, attempt);
  try {
    const loadable = { manifest, load: async () => task as unknown as Task };
    const context = createContext(attempt, signal);
    const result = await executeTask(loadable, { input: payload, openScope, context });
    completed(delivery, manifest, result);
    return { kind: 'completed', result: result as ResultOutput<M> };
  } catch (thrown) {
    return toOutcome(delivery, manifest, thrown);
  }
}
