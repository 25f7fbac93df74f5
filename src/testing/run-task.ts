import type { Delivery } from '../broker/broker.ts';
import type { AnyTask, PayloadInput, ResultOutput } from '../manifest/define-task.ts';
import { executeTask } from '../worker/execute-task.ts';
import { classify, completed } from '../worker/outcome.ts';
import type { Task, TaskContext } from '../worker/task-context.ts';

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
  | { kind: 'failed'; error: Error };

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
  return { signal, attempt, jobId: 'test-job', log: silentLog, progress: silent, enqueue };
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
  const delivery = {
    task: manifest.name,
    queue: manifest.queue,
    jobId: 'test-job',
    attempt,
    input: payload,
  } as Delivery;
  const whole: Delivery = { ...delivery, abort: new AbortController() };
  try {
    const loadable = { manifest, load: async () => task as unknown as Task };
    const context = createContext(attempt, signal);
    const result = await executeTask(loadable, { input: payload, openScope, context });
    completed(whole, manifest, result);
    return { kind: 'completed', result: result as ResultOutput<M> };
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const outcome = classify(whole, manifest, error);
    return outcome.kind === 'retry' ? { kind: 'retry', error, delayMs: outcome.delayMs } : { kind: 'failed', error };
  }
}
