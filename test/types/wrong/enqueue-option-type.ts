import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  // TS2322: Type 'string' is not assignable to type 'number'.
  producer.enqueue(sendEmail, { to: 'a@example.com', subject: 'Hello' }, { delayMs: '1s' });
