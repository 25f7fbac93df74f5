import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  // TS2353: Object literal may only specify known properties, and 'body' does not exist in type '{ to: string; subject: string; copies?: number | undefined; }'.
  producer.enqueue(sendEmail, { to: 'a@example.com', subject: 'Hello', body: 'How are you?' });
