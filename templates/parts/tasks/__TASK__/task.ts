import { implement, type TaskContext } from 'islet/task';
import type { Dependencies } from '../../queues/__QUEUE__/dependencies.ts';
import manifest from './manifest.ts';

// if: template
type __CONTEXT__ = TaskContext<Dependencies>;

// end
export default implement(manifest, async ({ id }, { signal }: __CONTEXT__) => {
  // if: at-least-once
  // May run again for the same job: make what it does safe to repeat.
  // end
  // if: at-most-once
  // Starts once or never for each job: what was interrupted is not run again.
  // end
  // Hand the signal to whatever takes long: it aborts on a time-out, on a cancel and at the worker's stop.
  signal.throwIfAborted();
  return { id };
});
