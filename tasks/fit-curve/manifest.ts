import { defineTask } from 'islet';
import * as v from 'valibot';

const finite = v.pipe(v.number(), v.finite());

export default defineTask({
  name: 'fit-curve',
  queue: 'science',
  payload: v.object({
    points: v.pipe(v.array(v.object({ x: finite, y: finite })), v.minLength(2), v.maxLength(10_000)),
    degree: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(8)),
  }),
  result: v.object({ coefficients: v.array(v.number()), rmse: v.number() }),
  attempts: 1,
  timeoutMs: 60_000,
  pool: 'thread', // it computes: other jobs, the locks and a stop need not wait for it
});
