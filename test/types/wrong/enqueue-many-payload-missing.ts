import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  // TS2353: Object literal may only specify known properties, and 'to' does not exist in type '{ payload: { to: string; subject: string; copies?: number | undefined; }; } & EnqueueOptionsWithoutPriority'.
  producer.enqueueMany(sendEmail, [{ to: 'a@example.com', subject: 'Hello' }]);
