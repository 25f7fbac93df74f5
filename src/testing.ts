export type { DrainOptions, JobRun } from './testing/drain.ts';
export { expectIdempotent, type IdempotencyOptions } from './testing/expect-idempotent.ts';
export type { Fakes } from './testing/fakes.ts';
export { type ChildJob, type RunTaskOptions, runTask, type TaskOutcome } from './testing/run-task.ts';
export {
  type AnyImplementation,
  createTestApp,
  type EnqueuedJob,
  type TestApp,
  type TestAppOptions,
} from './testing/test-app.ts';
