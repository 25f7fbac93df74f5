import type { Producer } from 'islet/producer';
import { report } from '../app.ts';

// TS2561: Object literal may only specify known properties, but 'prioritty' does not exist in type 'EnqueueOptions'. Did you mean to write 'priority'?
export const send = (producer: Producer) => producer.enqueue(report, { day: '2026-01-01' }, { prioritty: 1 });
