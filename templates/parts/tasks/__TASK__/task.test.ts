import { expectIdempotent, type Fakes, runTask } from 'islet/testing';
import { expect, test } from 'vitest';
import type { Dependencies } from '../../queues/__QUEUE__/dependencies.ts';
import task from './task.ts';

// if: template
type __FAKES__ = Fakes<Dependencies> & { done: string[] };

// end
const payload = { id: '1' };

// if: dependencies
/** Stand-ins for the dependencies that the task uses. Each of them pushes what it was told to do into `done`. */
// end
// if: no-dependencies
/** A record of what the task did: stand-ins for what it uses belong here too, and push what they do into `done`. */
// end
function createFakes(): __FAKES__ {
  const done: string[] = [];
  return { done };
}

test('returns the id that it was given', async () => {
  const outcome = await runTask(task, payload, { deps: createFakes() });
  expect(outcome).toEqual({ kind: 'completed', result: { id: '1' } });
});

// if: at-least-once
test('has the effects of one run, however often it runs and wherever it is interrupted', async () => {
  await expectIdempotent(task, payload, { deps: createFakes, effects: ({ done }) => done });
});

// end
test('refuses an empty id', async () => {
  expect(await runTask(task, { id: '' })).toMatchObject({ kind: 'failed' });
});
