import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'send-welcome',
  queue: 'mail',
  payload: v.object({
    userId: v.pipe(v.string(), v.regex(/^[\w-]{1,100}$/)),
    email: v.pipe(v.string(), v.email()),
  }),
  result: v.object({ sentTo: v.string() }),
});
