import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'resize',
  queue: 'images',
  payload: v.object({ file: v.string() }),
  // TS2561: Object literal may only specify known properties, but 'maxMemory' does not exist in type 'PoolOptions'. Did you mean to write 'maxMemoryMb'?
  pool: { kind: 'thread', maxMemory: 256 },
});
