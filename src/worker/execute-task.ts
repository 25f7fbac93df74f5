import { parsePayload, parseResult } from '../manifest/parse-payload.ts';
import type { LoadableTask } from './load-queue.ts';
import { toFailure } from './outcome.ts';
import type { TaskContext } from './task-context.ts';

/** The dependencies of one job; an awilix scope is one. */
export interface Scope {
  readonly cradle: object;
  dispose(): Promise<void>;
}

/** What a task runs in: how to open its scope, and all of its context but the dependencies. */
export interface Execution {
  input: unknown;
  openScope(): Scope;
  context: Omit<TaskContext, 'deps'>;
  /** The last step before the task's code; when it throws, that does not start. */
  beforeRun?(): Promise<void>;
}

/** Adds `deps` that cost nothing until they are touched: a scope takes 15 µs, a whole job about 100. */
function withScope({ openScope, context }: Execution) {
  let scope: Scope | undefined;
  const whole = Object.defineProperties({}, Object.getOwnPropertyDescriptors(context)) as TaskContext;
  Object.defineProperty(whole, 'deps', {
    enumerable: true,
    get() {
      scope ??= openScope();
      return scope.cradle;
    },
  });
  return { whole, dispose: async () => scope?.dispose() };
}

/** Runs one task on one input: parse, scope, task, check of the result. The same in every pool. */
export async function executeTask(task: LoadableTask, execution: Execution): Promise<unknown> {
  const payload = await parsePayload(task.manifest, execution.input, 'The job was not run.');
  const { run } = await task.load();
  await execution.beforeRun?.();
  const { whole, dispose } = withScope(execution);
  try {
    const result = await run(payload, whole);
    await parseResult(task.manifest, result);
    return result;
  } finally {
    await dispose().catch((error) => {
      // The task has ended: what cannot be cleared away does not undo its work, and a retry would do it twice.
      const { causeMessage } = toFailure(error, task.manifest, execution.input);
      whole.log.warn({ error: causeMessage }, "A job's dependencies could not be disposed of");
    });
  }
}
