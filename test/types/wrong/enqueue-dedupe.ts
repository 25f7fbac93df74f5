import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  // TS2322: Type '{ key: string; mode: "throttle"; }' is not assignable to type 'Dedupe | undefined'.
  producer.enqueue(sendEmail, { to: 'a@example.com', subject: 'Hello' }, { dedupe: { key: 'a', mode: 'throttle' } });
