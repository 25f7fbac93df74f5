import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  producer.enqueueMany(sendEmail, [
    { payload: { to: 'a@example.com', subject: 'Hello' }, delayMs: 5 },
    // TS2561: Object literal may only specify known properties, but 'delay' does not exist in type '{ payload: { to: string; subject: string; copies?: number | undefined; }; } & EnqueueOptionsWithoutPriority'. Did you mean to write 'delayMs'?
    { payload: { to: 'b@example.com', subject: 'Hello' }, delay: 5 },
  ]);
