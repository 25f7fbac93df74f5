import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  // TS2353: Object literal may only specify known properties, and 'retries' does not exist in type 'EnqueueOptionsWithoutPriority'.
  producer.enqueue(sendEmail, { to: 'a@example.com', subject: 'Hello' }, { delayMs: 1_000, retries: 3 });
