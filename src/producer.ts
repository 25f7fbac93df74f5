export { bullmqQueue } from './broker/keys.ts';
export type { EnqueueOptions } from './producer/prepare-job.ts';
export {
  createProducer,
  type HandleFor,
  type JobHandle,
  type Producer,
  type ProducerOptions,
  type QueueCounts,
  type ResultHandle,
} from './producer/producer.ts';
