import { defineTask } from 'islet';
import type { Producer } from 'islet/producer';
import { implement } from 'islet/task';
import { measured } from '../standard-schema.ts';

const measure = defineTask({ name: 'measure', queue: 'science', payload: measured });

// TS2322: Type 'number' is not assignable to type 'string'.
export const send = (producer: Producer) => producer.enqueue(measure, { centimetres: 5 });
// TS2339: Property 'trim' does not exist on type 'number'.
export default implement(measure, async ({ metres }) => metres.trim());
