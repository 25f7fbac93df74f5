import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  // TS2322: Type 'number' is not assignable to type 'Refused<"the task's manifest has no priority">'.
  producer.enqueueMany(sendEmail, [{ payload: { to: 'a@example.com', subject: 'Hello' }, priority: 1 }]);
