export { PermanentError } from './errors.ts';
export type { JobMeta } from './manifest/meta.ts';
export {
  type CreateHooks,
  defineHooks,
  type HookedJob,
  type Hooks,
  type JobEnd,
  type JobFailure,
  type WorkerStart,
} from './worker/hooks.ts';
export {
  type AtLeastOnceContext,
  type AtMostOnceContext,
  type DependenciesOf,
  implement,
  type QueueHost,
  type Task,
  type TaskContext,
  type VerdictOptions,
  type Verdicts,
} from './worker/task-context.ts';
