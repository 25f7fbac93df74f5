export { PermanentError } from './errors.ts';
export {
  type DependenciesOf,
  implement,
  type QueueHost,
  type Task,
  type TaskContext,
} from './worker/task-context.ts';
