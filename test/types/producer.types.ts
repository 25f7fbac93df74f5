// Compiled, never run: each line below must be a compile error, or the compiler reports the expectation as unused.
import { defineTask } from 'islet';
import { createProducer, type Producer } from 'islet/producer';
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

const once = defineTask({ name: 'once', queue: 'q', payload: v.object({}), delivery: 'at-most-once' });

export function metas(redis: string, tenant?: string) {
  createProducer({ redis, meta: () => undefined });
  createProducer({ redis, meta: () => ({ tenant, trace: 'a' }) });
  // @ts-expect-error a meta is asked for at each enqueue
  createProducer({ redis, meta: { tenant: 'a' } });
  // @ts-expect-error a meta holds texts only
  createProducer({ redis, meta: () => ({ tenant: 5 }) });
  // @ts-expect-error nothing waits for a meta
  createProducer({ redis, meta: async () => ({ tenant }) });
}

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
  // @ts-expect-error a throttle without its time
  await producer.enqueue(plain, { to: 'a' }, { dedupe: { key: 'a', mode: 'throttle' } });
  // @ts-expect-error a time where the key lasts until the job has ended
  await producer.enqueue(plain, { to: 'a' }, { dedupe: { key: 'a', mode: 'simple', ttlMs: 5 } });
  // @ts-expect-error a state in which no cancelled job is found
  if ((await producer.cancel('x')).found === 'done') return;
  // @ts-expect-error a state that no job has
  if ((await producer.job('x'))?.state === 'done') return;
  // @ts-expect-error the name of a task in place of its manifest
  await producer.job('x', { task: 'rich' });
  // @ts-expect-error a field that the task's result does not have
  if ((await producer.job('x', { task: rich }))?.result?.received) return;
  // @ts-expect-error a result of a task that is not known
  if ((await producer.job('x'))?.result?.sent) return;
  // @ts-expect-error an option that does not exist
  defineTask({ name: 'x', queue: 'q', payload: v.object({}), attemps: 5 });
  // @ts-expect-error a result of the wrong type
  implement(rich, async () => ({ sent: 'three' }));
  // @ts-expect-error a dependency that the queue does not have
  implement(plain, async (_, { deps }: TaskContext<{ http: string }>) => deps.htp);
  // @ts-expect-error a second attempt of an at-most-once task
  defineTask({ name: 'x', queue: 'q', payload: v.object({}), delivery: 'at-most-once', attempts: 2 });
  // @ts-expect-error the attempts of its jobs for an at-most-once task
  defineTask({ name: 'x', queue: 'q', payload: v.object({}), delivery: 'at-most-once', retries: 'from-job' });
  // @ts-expect-error a guarantee that does not exist
  defineTask({ name: 'x', queue: 'q', payload: v.object({}), delivery: 'exactly-once' });
  // @ts-expect-error an at-most-once task that would run again later
  implement(once, (_, { snooze }) => snooze);
  // @ts-expect-error an at-most-once task that would run again after its queue's pause
  implement(once, (_, { rateLimited }) => rateLimited);
  // @ts-expect-error the context of an at-least-once task in an at-most-once one
  implement(once, (_, { snooze }: TaskContext<{ http: string }>) => snooze);
  // @ts-expect-error a verdict without its delay
  implement(plain, (_, { snooze }) => snooze({}));
}

export async function rightUses(producer: Producer): Promise<number> {
  const kept = await producer.enqueue(plain, { to: 'a' }, { keepResultMs: 5_000 });
  await kept.result();
  const throttled = await producer.enqueue(plain, { to: 'a' }, { dedupe: { key: 'a', mode: 'throttle', ttlMs: 5 } });
  if (!throttled.accepted) await producer.cancel(throttled.id, { queue: throttled.queue, reason: 'made before' });
  defineTask({ name: 'x', queue: 'q', payload: v.object({}), delivery: 'at-most-once', attempts: 1 });
  defineTask({ name: 'x', queue: 'q', payload: v.object({}), delivery: 'at-least-once', attempts: 5 });
  implement(once, (_, { deps }: TaskContext<{ http: string }, 'at-most-once'>) => deps.http);
  implement(plain, (_, { deps, snooze }: TaskContext<{ http: string }>) => {
    throw snooze({ delayMs: deps.http.length });
  });
  implement(plain, (_, { rateLimited }) => {
    throw rateLimited({ delayMs: 1_000 });
  });
  implement(rich, async ({ at }) => ({ sent: at.getTime() }));
  const job = await producer.job('x', { task: rich, queue: 'q2' });
  if (job?.state === 'completed' && job.result) return job.result.sent + (job.attempts ?? 0);
  await kept.result({ onProgress: (progress) => console.log(progress) });
  const { sent } = await (await producer.enqueue(rich, { at: '2026-01-01' }, { priority: 1 })).result();
  return sent;
}
