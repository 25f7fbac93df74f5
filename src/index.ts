export * from './errors.ts';
export { defineQueue, type QueueManifest, type QueueOptions } from './manifest/define-queue.ts';
export {
  type AnyTask,
  type AtMostOnceOptions,
  type Backoff,
  type DeliveryGuarantee,
  defineTask,
  type PayloadInput,
  type PayloadOutput,
  type ResultInput,
  type ResultOutput,
  type TaskManifest,
  type TaskOptions,
} from './manifest/define-task.ts';
export type { PoolKind, PoolOptions, TaskPool } from './manifest/pool.ts';
