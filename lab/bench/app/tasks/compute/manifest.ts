import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'compute',
  queue: 'mixed',
  payload: v.object({ ms: v.number() }),
});
