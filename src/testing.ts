export { type RunTaskOptions, runTask, type TaskOutcome } from './testing/run-task.ts';
