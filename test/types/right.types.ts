// Compiled, never run: all of this must compile, and have these types exactly.
import type { StandardSchemaV1 } from '@standard-schema/spec';
import {
  defineQueue,
  defineTask,
  type PayloadInput,
  type PayloadOutput,
  type ResultInput,
  type TaskOptions,
} from 'islet';
import type { EnqueueOptions, JobHandle, Producer, ResultHandle } from 'islet/producer';
import {
  type CreateHooks,
  defineHooks,
  type HookedJob,
  type Hooks,
  implement,
  type JobEnd,
  type JobFailure,
  type QueueHost,
  type Task,
  type TaskContext,
} from 'islet/task';
import { type ChildJob, expectIdempotent, runTask } from 'islet/testing';
import * as v from 'valibot';
import { charge, type Dependencies, report, sendEmail } from './app.ts';
import { measured } from './standard-schema.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._: Same<A, B> extends true ? [] : [never]): void {}

export function manifests() {
  same<PayloadInput<typeof report>, { day: string }>();
  same<PayloadOutput<typeof report>, { day: Date }>();
  same<ResultInput<typeof report>, { pages: number }>();
  same<ResultInput<typeof charge>, unknown>();
  same<(typeof report)['priority'], 5>();
  same<(typeof report)['keepResultMs'], 60_000>();
  same<(typeof report)['delivery'], 'at-least-once'>();
  same<(typeof charge)['delivery'], 'at-most-once'>();
  same<(typeof charge)['priority'], undefined>();
  same<(typeof charge)['keepResultMs'], undefined>();
  same<(typeof charge)['result'], undefined>();

  const measure = defineTask({ name: 'measure', queue: 'science', payload: measured, result: measured });
  same<PayloadInput<typeof measure>, { centimetres: string }>();
  same<PayloadOutput<typeof measure>, { metres: number }>();
  same<ResultInput<typeof measure>, { centimetres: string }>();

  defineTask({
    name: 'everything',
    queue: 'q',
    payload: v.union([v.object({ a: v.string() }), v.object({ b: v.number() })]),
    result: v.nullable(v.array(v.string())),
    version: 2,
    delivery: 'at-least-once',
    attempts: 5,
    backoff: { type: 'fixed', delayMs: 1_000 },
    timeoutMs: 1_000,
    abandonAfterMs: 0,
    maxPayloadBytes: 1_000,
    maxResultBytes: 1_000,
    load: 'on-first-job',
    redact: ['a'],
    formerNames: ['all'],
    keepResultMs: 1_000,
    priority: 1,
  });
  defineTask({ name: 'once', queue: 'q', payload: v.object({}), delivery: 'at-most-once', attempts: 1 });
  defineTask({ name: 'unset', queue: 'q', payload: v.object({}), result: undefined, attempts: undefined });
  defineQueue({ name: 'q', concurrency: 4, retention: { failedCount: 10 } });
}

/** Options that are put together elsewhere. */
export function sharedOptions(production: boolean) {
  const common = { queue: 'mail', attempts: 5, backoff: { type: 'fixed', delayMs: 10 } } as const;
  const shared = defineTask({ ...common, name: 'shared', payload: v.object({ to: v.string() }), redact: ['to'] });
  same<PayloadInput<typeof shared>, { to: string }>();

  const options = { name: 'kept', queue: 'mail', payload: v.object({}), keepResultMs: 1_000 };
  const kept = defineTask(options);
  same<(typeof kept)['keepResultMs'], number>();

  const typed: TaskOptions = { name: 'typed', queue: 'mail', payload: v.object({}) };
  defineTask(typed);

  const chosen = defineTask({ ...common, name: 'chosen', payload: v.object({}), priority: production ? 1 : 9 });
  same<(typeof chosen)['priority'], 1 | 9>();

  const inMail = <P extends StandardSchemaV1>(name: string, payload: P) => defineTask({ ...common, name, payload });
  const made = inMail('made', v.object({ to: v.string() }));
  same<PayloadInput<typeof made>, { to: string }>();
  implement(made, ({ to }) => to.length);
}

export async function enqueues(producer: Producer, rows: { to: string; subject: string; id: number }[]) {
  const payload = { to: 'a@example.com', subject: 'Hello' };
  same<Awaited<ReturnType<typeof plain>>, JobHandle>();
  const plain = () => producer.enqueue(sendEmail, payload, { delayMs: 5, id: 'a', idempotencyMs: 5 });
  const kept = await producer.enqueue(sendEmail, payload, { keepResultMs: 5 });
  same<typeof kept, ResultHandle<{ messageId: number }>>();
  const always = await producer.enqueue(report, { day: '2026-01-01' }, { priority: 1 });
  same<typeof always, ResultHandle<{ pages: number }>>();

  const later: EnqueueOptions = { delayMs: 5, priority: 1 };
  await producer.enqueue(report, { day: '2026-01-01' }, later);
  await producer.enqueue(sendEmail, payload, { dedupe: { key: 'a', mode: 'debounce', ttlMs: 5 }, delayMs: 5 });
  await producer.enqueue(sendEmail, payload, undefined);
  await producer.enqueue(sendEmail, { ...payload, copies: undefined });
  // A row may have more than the payload needs, as long as it is not written down here.
  for (const row of rows) await producer.enqueue(sendEmail, row);

  const many = await producer.enqueueMany(
    sendEmail,
    rows.map((row) => ({ payload: row, id: `row-${row.id}`, keepResultMs: 5 })),
  );
  same<typeof many, ResultHandle<{ messageId: number }>[]>();
  const some = await producer.enqueueMany(sendEmail, [{ payload, keepResultMs: 5 }, { payload }]);
  same<(typeof some)[number]['id'], string>();
  await producer.enqueueMany(report, [{ payload: { day: '2026-01-01' }, priority: 1 }, { payload: { day: '' } }]);
  await producer.enqueueMany(sendEmail, []);
  // @ts-expect-error not every handle of them has a result
  await some[0].result();
}

export async function tasks() {
  const send = implement(sendEmail, async ({ to, subject, copies = 1 }, run: TaskContext<Dependencies>) => {
    await run.enqueue(report, { day: '2026-01-01' }, { delayMs: copies });
    return { messageId: await run.deps.mailer.send(to, subject) };
  });
  same<typeof send, Task<typeof sendEmail, Dependencies>>();
  implement(sendEmail, () => ({ messageId: 1 }));
  implement(charge, async ({ cents }) => cents);
  implement(charge, async (_, { deps }: TaskContext<Dependencies, 'at-most-once'>) => deps.sender);
  // Code that takes any context may be shared by tasks of both kinds.
  const say = ({ log }: TaskContext<object, 'at-most-once'>) => log.info('said');
  implement(charge, (_, run) => say(run));
  implement(sendEmail, (_, run) => {
    say(run);
    throw run.snooze({ delayMs: 5 });
  });

  const payload = { to: 'a@example.com', subject: 'Hello' };
  const outcome = await runTask(send, payload, { deps: { mailer: { send: async () => 1 } }, attempt: 2 });
  if (outcome.kind === 'completed') same<typeof outcome.result, { messageId: number }>();
  same<typeof outcome.enqueued, readonly ChildJob[] | undefined>();
  await expectIdempotent(send, payload, {
    deps: () => ({ sender: 'me', mailer: { send: async () => 1 }, sent: [] as string[] }),
    effects: ({ sent }) => sent,
  });
  await expectIdempotent(
    implement(report, () => ({ pages: 1 })),
    { day: '' },
    { effects: () => [] },
  );
}

export function hooks() {
  const traced = defineHooks(({ log }) => ({
    async aroundJob(job, run) {
      same<typeof job, HookedJob>();
      same<typeof job.meta.tenant, string | undefined>();
      same<number, typeof job.enqueuedAt | typeof job.startedAt>();
      const end = await run();
      same<typeof end, JobEnd>();
      if (!end.ok) log.info({ outcome: end.outcome, code: end.code, error: end.error });
      else same<typeof end.outcome, 'completed'>();
    },
    onJobFailed(job, failure) {
      same<typeof failure, JobFailure>();
      // @ts-expect-error a hook cannot change its job
      job.attempt = 1;
    },
    onWorkerStart: ({ queues }) => log.info({ queues }),
  }));
  same<typeof traced, CreateHooks<unknown>>();
  defineHooks(({ config }: QueueHost<{ dsn: string }>) => ({ onWorkerStop: () => void config.dsn.length }));
  defineHooks(async ({ log }) => ({ onWorkerStop: ({ queues }) => log.info({ queues }) }));
  defineHooks(() => ({}));
  const shared: Hooks = { aroundJob: async (_, run) => void (await run()) };
  defineHooks(() => shared);
  return ((): Hooks => shared) satisfies CreateHooks<unknown>;
}
