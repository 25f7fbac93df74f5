import type { AnyTask } from '../manifest/define-task.ts';
import { parsePayload, parseResult } from '../manifest/parse-payload.ts';
import { redactionOf } from '../manifest/redact.ts';
import { toFailure } from './describe-error.ts';
import type { LoadableTask } from './load-queue.ts';
import type { TaskContext } from './task-context.ts';

type DisposableContext = TaskContext & { dispose?(): Promise<void> | undefined };

/** Runs one task on one input, in every pool. Awaits only what takes time: each promise costs a job a microsecond. */
export async function executeTask(
  task: LoadableTask,
  input: unknown,
  context: DisposableContext,
  attempt?: { beforeRun(): void | Promise<void> },
): Promise<unknown> {
  const { manifest } = task;
  // The redacted values are collected before the code of the schema or the task can change its input.
  if (manifest.redact.length > 0) redactionOf(manifest, { input, meta: context.meta });
  const parsed = parsePayload(manifest, input, 'The job was not run.');
  const payload = parsed instanceof Promise ? await parsed : parsed;
  task.loaded ??= await task.load();
  const passing = attempt?.beforeRun();
  if (passing) await passing;
  try {
    const result = await task.loaded.run(payload, context);
    if (manifest.result) await parseResult(manifest, result);
    return result;
  } finally {
    const disposing = dispose(context, manifest, input);
    if (disposing) await disposing;
  }
}

/**
 * Disposes of a job's dependencies. Never throws: the task has ended, so what cannot be cleared away does not undo its
 * work, and a retry would do that twice.
 */
function dispose(context: DisposableContext, manifest: AnyTask, input: unknown): Promise<void> | undefined {
  const warn = (error: unknown) => {
    const { causeMessage } = toFailure(error, manifest, { input, meta: context.meta });
    context.log.warn({ error: causeMessage }, "A job's dependencies could not be disposed of");
  };
  try {
    return context.dispose?.()?.catch(warn);
  } catch (error) {
    warn(error);
    return undefined;
  }
}
