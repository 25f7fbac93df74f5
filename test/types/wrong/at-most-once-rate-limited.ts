import { implement } from 'islet/task';
import { charge } from '../app.ts';

export default implement(charge, async (_, run) => {
  // TS2339: Property 'rateLimited' does not exist on type 'AtMostOnceContext<object>'.
  throw run.rateLimited({ delayMs: 1_000 });
});
