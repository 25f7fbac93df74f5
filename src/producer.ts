export type { Cancellation, CancelOptions } from './broker/cancel.ts';
export { bullmqQueue } from './broker/keys.ts';
export type { Dedupe, EnqueueOptions } from './producer/enqueue-options.ts';
export {
  createProducer,
  type HandleFor,
  type JobHandle,
  type Producer,
  type ProducerOptions,
  type QueueCounts,
  type ResultHandle,
} from './producer/producer.ts';
