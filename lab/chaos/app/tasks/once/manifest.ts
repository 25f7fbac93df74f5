import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'once',
  queue: 'chaos',
  payload: v.object({ ms: v.number() }),
  delivery: 'at-most-once',
  attempts: 1,
});
