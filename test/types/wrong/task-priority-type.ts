import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'resize',
  queue: 'images',
  payload: v.object({ file: v.string() }),
  // TS2322: Type 'string' is not assignable to type 'number'.
  priority: 'high',
});
