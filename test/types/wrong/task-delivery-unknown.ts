import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
  name: 'resize',
  queue: 'images',
  payload: v.object({ file: v.string() }),
  // TS2322: Type '"exactly-once"' is not assignable to type 'DeliveryGuarantee | undefined'.
  delivery: 'exactly-once',
});
