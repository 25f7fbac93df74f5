import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'stubborn',
  queue: 'chaos',
  payload: v.object({ ms: v.number() }),
});
