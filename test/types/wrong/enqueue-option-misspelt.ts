import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  // TS2561: Object literal may only specify known properties, but 'delay' does not exist in type 'EnqueueOptionsWithoutPriority'. Did you mean to write 'delayMs'?
  producer.enqueue(sendEmail, { to: 'a@example.com', subject: 'Hello' }, { delay: 1_000 });
