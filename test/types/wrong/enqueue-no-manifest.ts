import type { Producer } from 'islet/producer';

// TS2345: Argument of type 'string' is not assignable to parameter of type 'AnyTask'.
export const send = (producer: Producer) => producer.enqueue('send-email', { to: 'a@example.com' });
