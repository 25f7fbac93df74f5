import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

// TS2741: Property 'subject' is missing in type '{ to: string; }' but required in type '{ to: string; subject: string; copies?: number | undefined; }'.
export const send = (producer: Producer) => producer.enqueue(sendEmail, { to: 'a@example.com' });
