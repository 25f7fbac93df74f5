import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

// TS2322: Type 'number' is not assignable to type 'string'.
export const send = (producer: Producer) => producer.enqueue(sendEmail, { to: 5, subject: 'Hello' });
