export { expectIdempotent, type IdempotencyOptions } from './testing/expect-idempotent.ts';
export type { Fakes } from './testing/fakes.ts';
export { type RunTaskOptions, runTask, type TaskOutcome } from './testing/run-task.ts';
