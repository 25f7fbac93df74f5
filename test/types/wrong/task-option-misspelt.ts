import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'resize',
  queue: 'images',
  payload: v.object({ file: v.string() }),
  result: v.object({ file: v.string() }),
  // TS2561: Object literal may only specify known properties, but 'attemps' does not exist in type 'TaskOptions'. Did you mean to write 'attempts'?
  attemps: 5,
});
