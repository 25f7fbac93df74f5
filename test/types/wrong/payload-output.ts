import type { Producer } from 'islet/producer';
import { report } from '../app.ts';

// TS2322: Type 'Date' is not assignable to type 'string'.
export const send = (producer: Producer) => producer.enqueue(report, { day: new Date() });
