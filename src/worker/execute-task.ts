import { parsePayload, parseResult } from '../manifest/parse-payload.ts';
import type { LoadableTask } from './load-queue.ts';
import { toFailure } from './outcome.ts';
import type { TaskContext } from './task-context.ts';

/** Runs one task on one input, in every pool. Awaits only what takes time: each promise costs a job a microsecond. */
export async function executeTask(
  task: LoadableTask,
  input: unknown,
  context: TaskContext & { dispose?(): Promise<void> | undefined },
  attempt?: { beforeRun(): void | Promise<void> },
): Promise<unknown> {
  const { manifest } = task;
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
    const disposing = context.dispose?.();
    // The task has ended: what cannot be cleared away does not undo its work, and a retry would do that twice.
    if (disposing) {
      await disposing.catch((error) => {
        const { causeMessage } = toFailure(error, manifest, input);
        context.log.warn({ error: causeMessage }, "A job's dependencies could not be disposed of");
      });
    }
  }
}
