import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'charge',
  queue: 'money',
  payload: v.object({ cents: v.number() }),
  delivery: 'at-most-once',
  // TS2322: Type '2' is not assignable to type '1 | Refused<"an at-most-once task has one attempt"> | undefined'.
  attempts: 2,
});
