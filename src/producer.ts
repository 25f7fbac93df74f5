export type { JobState, QueueCounts } from './broker/broker.ts';
export { bullmqQueue } from './broker/keys.ts';
export type { JobMeta } from './manifest/meta.ts';
export { createProducer, type ProducerOptions } from './producer/create-producer.ts';
export type { Dedupe, EnqueueOptions, EnqueueOptionsWithoutPriority } from './producer/enqueue-options.ts';
export type { JobSnapshot } from './producer/job-snapshot.ts';
export type {
  Cancellation,
  CancelOptions,
  HandleFor,
  JobHandle,
  JobOptions,
  Producer,
  ResultHandle,
  ResultOptions,
} from './producer/producer.ts';
