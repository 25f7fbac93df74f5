import type { AnyTask } from '../../manifest/define-task.ts';
import type { PoolKind } from '../../manifest/pool.ts';
import type { Files } from './files.ts';

/** What a new task's manifest says; what is left out has its default. */
export interface NewTask {
  name: string;
  queue: string;
  delivery?: AnyTask['delivery'];
  attempts?: number;
  timeoutMs?: number;
  /** Imported when its first job comes. */
  rare?: boolean;
  pool?: PoolKind;
  priority?: number;
  /** Whether the queue's dependencies.ts exports the type `Dependencies`. */
  hasDependencies: boolean;
}

/** 30000 as 30_000, the way a person writes it. */
const grouped = (value: number) => String(value).replace(/\B(?=(\d{3})+$)/g, '_');

function manifest({ name, queue, delivery, attempts, timeoutMs, rare, pool, priority }: NewTask): string {
  const options = [
    `name: '${name}'`,
    `queue: '${queue}'`,
    'payload: v.object({ id: v.pipe(v.string(), v.minLength(1)) })',
    'result: v.object({ id: v.string() })',
    delivery === 'at-most-once' && `delivery: 'at-most-once'`,
    attempts !== undefined && `attempts: ${grouped(attempts)}`,
    timeoutMs !== undefined && `timeoutMs: ${grouped(timeoutMs)}`,
    rare && `load: 'on-first-job'`,
    pool !== undefined && pool !== 'async' && `pool: '${pool}'`,
    priority !== undefined && `priority: ${grouped(priority)}`,
  ].filter((option) => typeof option === 'string');
  return `import { defineTask } from 'islet';
import * as v from 'valibot';

export default defineTask({
${options.map((option) => `  ${option},`).join('\n')}
});
`;
}

const importDependencies = ({ queue, hasDependencies }: NewTask) =>
  hasDependencies ? `import type { Dependencies } from '../../queues/${queue}/dependencies.ts';\n` : '';

function contextOf({ delivery, hasDependencies }: NewTask): string {
  const dependencies = hasDependencies ? 'Dependencies' : 'object';
  if (delivery === 'at-most-once') return `TaskContext<${dependencies}, 'at-most-once'>`;
  return hasDependencies ? 'TaskContext<Dependencies>' : 'TaskContext';
}

function task(given: NewTask): string {
  const promise =
    given.delivery === 'at-most-once'
      ? '  // Starts once or never for each job: what was interrupted is not run again.\n'
      : '  // May run again for the same job: make what it does safe to repeat.\n';
  return `import { implement, type TaskContext } from 'islet/task';
${importDependencies(given)}import manifest from './manifest.ts';

export default implement(manifest, async ({ id }, { signal }: ${contextOf(given)}) => {
${promise}  // Hand the signal to whatever takes long: it aborts on a time-out, on a cancel and at the worker's stop.
  signal.throwIfAborted();
  return { id };
});
`;
}

/** Fakes and the record of what was done with them; without dependencies there is only the record. */
function fakes({ hasDependencies }: NewTask): string {
  const type = hasDependencies ? ': Fakes<Dependencies> & { done: string[] }' : '';
  const comment = hasDependencies
    ? '/** Stand-ins for the dependencies that the task uses. Each of them pushes what it was told to do into `done`. */'
    : '/** A record of what the task did: stand-ins for what it uses belong here too, and push what they do into `done`. */';
  return `${comment}
function createFakes()${type} {
  const done: string[] = [];
  return { done };
}
`;
}

const idempotencyTest = `
test('has the effects of one run, however often it runs and wherever it is interrupted', async () => {
  await expectIdempotent(task, payload, { deps: createFakes, effects: ({ done }) => done });
});
`;

function taskTest(given: NewTask): string {
  const repeats = given.delivery !== 'at-most-once';
  const imported = [repeats && 'expectIdempotent', given.hasDependencies && 'type Fakes', 'runTask'].filter(Boolean);
  return `import { ${imported.join(', ')} } from 'islet/testing';
import { expect, test } from 'vitest';
${importDependencies(given)}import task from './task.ts';

const payload = { id: '1' };

${fakes(given)}
test('returns the id that it was given', async () => {
  const outcome = await runTask(task, payload, { deps: createFakes() });
  expect(outcome).toEqual({ kind: 'completed', result: { id: '1' } });
});
${repeats ? idempotencyTest : ''}
test('refuses an empty id', async () => {
  expect(await runTask(task, { id: '' })).toMatchObject({ kind: 'failed' });
});
`;
}

/** The files of a new task's folder. Its test passes as it stands. */
export function taskFiles(given: NewTask): Files {
  return { 'manifest.ts': manifest(given), 'task.ts': task(given), 'task.test.ts': taskTest(given) };
}

/** A payload that a new task takes, as JSON for a shell. */
export const newTaskPayload = `'{"id":"1"}'`;
