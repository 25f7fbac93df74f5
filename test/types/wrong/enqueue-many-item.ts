import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  producer.enqueueMany(sendEmail, [
    { payload: { to: 'a@example.com', subject: 'Hello' } },
    // TS2322: Type 'number' is not assignable to type 'string'.
    { payload: { to: 'b@example.com', subject: 7 } },
  ]);
