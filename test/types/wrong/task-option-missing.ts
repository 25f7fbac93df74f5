import { defineTask } from 'islet';
import * as v from 'valibot';

// TS2741: Property 'queue' is missing in type '{ name: string; payload: v.ObjectSchema<{ readonly file: v.StringSchema<undefined>; }, undefined>; }' but required in type 'TaskOptions'.
export default defineTask({
  name: 'resize',
  payload: v.object({ file: v.string() }),
});
