import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'resize',
  queue: 'images',
  payload: v.object({ file: v.string() }),
  // TS2561: Object literal may only specify known properties, but 'delay' does not exist in type 'Backoff'. Did you mean to write 'delayMs'?
  backoff: { type: 'fixed', delayMs: 1_000, delay: 1_000 },
});
