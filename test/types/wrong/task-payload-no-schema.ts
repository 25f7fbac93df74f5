import { defineTask } from 'islet';

export default defineTask({
  name: 'resize',
  queue: 'images',
  // TS2353: Object literal may only specify known properties, and 'file' does not exist in type 'StandardSchemaV1<unknown, unknown>'.
  payload: { file: 'string' },
});
