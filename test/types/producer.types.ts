// Compiled, never run: each line below must be a compile error, or the compiler reports the expectation as unused.
import { defineTask } from 'islet';
import type { Producer } from 'islet/producer';
import { implement, type TaskContext } from 'islet/task';
import * as v from 'valibot';

const plain = defineTask({ name: 'plain', queue: 'q', payload: v.object({ to: v.string() }) });
const rich = defineTask({
  name: 'rich',
  queue: 'q2',
  payload: v.object({
    at: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
  }),
  result: v.object({ sent: v.number() }),
  keepResultMs: 1_000,
  priority: 5,
});

export async function wrongUses(producer: Producer) {
  // @ts-expect-error a payload of the wrong type
  await producer.enqueue(plain, { to: 5 });
  // @ts-expect-error a payload with a field missing
  await producer.enqueue(plain, {});
  // @ts-expect-error the output of the schema is not its input
  await producer.enqueue(rich, { at: new Date() });
  // @ts-expect-error a priority where the queue has none
  await producer.enqueue(plain, { to: 'a' }, { priority: 1 });
  // @ts-expect-error a result that nobody asked to keep
  await (await producer.enqueue(plain, { to: 'a' })).result();
  // @ts-expect-error a bulk with one wrong payload
  await producer.enqueueMany(plain, [{ payload: { to: 'a' } }, { payload: { to: 5 } }]);
  // @ts-expect-error an option that does not exist
  defineTask({ name: 'x', queue: 'q', payload: v.object({}), attemps: 5 });
  // @ts-expect-error a result of the wrong type
  implement(rich, async () => ({ sent: 'three' }));
  // @ts-expect-error a dependency that the queue does not have
  implement(plain, async (_, { deps }: TaskContext<{ http: string }>) => deps.htp);
}

export async function rightUses(producer: Producer): Promise<number> {
  const kept = await producer.enqueue(plain, { to: 'a' }, { keepResultMs: 5_000 });
  await kept.result();
  implement(rich, async ({ at }) => ({ sent: at.getTime() }));
  const { sent } = await (await producer.enqueue(rich, { at: '2026-01-01' }, { priority: 1 })).result();
  return sent;
}
