import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'stray',
  queue: 'chaos',
  payload: v.object({ ms: v.number() }),
  attempts: 2,
});
