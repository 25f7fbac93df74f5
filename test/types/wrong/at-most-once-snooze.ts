import { implement } from 'islet/task';
import { charge } from '../app.ts';

// TS2339: Property 'snooze' does not exist on type 'AtMostOnceContext<object>'.
export default implement(charge, async ({ cents }, { snooze }) => {
  if (cents > 100) throw snooze({ delayMs: 1_000 });
});
