import { defineTask } from 'islet';
import * as v from 'valibot';
// if: mapped
import queue from '../../queues/__QUEUE__/manifest.ts';

// end

// if: template
const __QUEUE_REF__ = queue;
declare const __DELIVERY__: 'at-least-once';
declare const __ATTEMPTS__: number;
declare const __TIMEOUT_MS__: number;
declare const __LOAD__: 'on-first-job';
declare const __POOL__: 'thread' | 'process';
declare const __PRIORITY__: number;

// end
export default defineTask({
  name: '__TASK__',
  queue: __QUEUE_REF__,
  payload: v.object({ id: v.pipe(v.string(), v.minLength(1)) }),
  result: v.object({ id: v.string() }),
  delivery: __DELIVERY__,
  attempts: __ATTEMPTS__,
  timeoutMs: __TIMEOUT_MS__,
  load: __LOAD__,
  pool: __POOL__,
  priority: __PRIORITY__,
});
