import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'compute-in-thread',
  queue: 'mixed',
  payload: v.object({ ms: v.number() }),
  pool: 'thread',
});
