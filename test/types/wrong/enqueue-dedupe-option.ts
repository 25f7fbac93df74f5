import type { Producer } from 'islet/producer';
import { sendEmail } from '../app.ts';

export const send = (producer: Producer) =>
  producer.enqueue(
    sendEmail,
    { to: 'a@example.com', subject: 'Hello' },
    // TS2353: Object literal may only specify known properties, and 'ttl' does not exist in type '{ key: string; mode: "throttle"; ttlMs: number; }'.
    { delayMs: 5, dedupe: { key: 'a', mode: 'throttle', ttlMs: 5, ttl: 5 } },
  );
