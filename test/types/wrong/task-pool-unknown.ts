import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'resize',
  queue: 'images',
  payload: v.object({ file: v.string() }),
  // TS2820: Type '"threads"' is not assignable to type 'PoolOptions | PoolKind | undefined'. Did you mean '"thread"'?
  pool: 'threads',
});
