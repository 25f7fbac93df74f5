import { parsePayload, parseResult } from '../manifest/parse-payload.ts';
import type { LoadableTask } from './load-queue.ts';
import { toFailure } from './outcome.ts';
import type { TaskContext } from './task-context.ts';

/** What a task runs in. */
export interface Execution {
  input: unknown;
  /** `dispose` ends the dependencies that it opened; nothing when it opened none. */
  context: TaskContext & { dispose?(): Promise<void> | undefined };
  /** Has the last step before the task's code; when it throws, that does not start. */
  attempt?: { beforeRun(): void | Promise<void> };
}

/**
 * Runs one task on one input: parse, task, check of the result, end of its dependencies. The same in every pool. It awaits
 * only what takes time: each promise of a job's own costs a microsecond.
 */
export async function executeTask(task: LoadableTask, { input, context, attempt }: Execution): Promise<unknown> {
  const parsed = parsePayload(task.manifest, input, 'The job was not run.');
  const payload = parsed instanceof Promise ? await parsed : parsed;
  const { run } = task.loaded ?? (await task.load());
  const passing = attempt?.beforeRun();
  if (passing) await passing;
  try {
    const result = await run(payload, context);
    if (task.manifest.result) await parseResult(task.manifest, result);
    return result;
  } finally {
    const disposing = context.dispose?.();
    if (disposing) await reportFailure(disposing, task, input, context);
  }
}

/** The task has ended: what cannot be cleared away does not undo its work, and a retry would do it twice. */
async function reportFailure(
  disposing: Promise<void>,
  { manifest }: LoadableTask,
  input: unknown,
  { log }: TaskContext,
): Promise<void> {
  await disposing.catch((error) => {
    const { causeMessage } = toFailure(error, manifest, input);
    log.warn({ error: causeMessage }, "A job's dependencies could not be disposed of");
  });
}
