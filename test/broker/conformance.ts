import * as v from 'valibot';
import { expect, vi } from 'vitest';
import type { Broker, ConsumeOptions, Delivery, Outcome } from '../../src/broker/broker.ts';
import { JobAbort } from '../../src/job-abort.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { noMeta } from '../../src/manifest/meta.ts';
import type { MetaSource } from '../../src/producer/current-meta.ts';
import type { Producer } from '../../src/producer/producer.ts';
import { completed as complete, toResultJson } from '../../src/worker/outcome.ts';
import { carried, refused } from '../support/json-values.ts';

/** An empty broker with its clock. */
export interface Rig {
  producer: Producer;
  broker: Broker;
  /** Lets `ms` milliseconds pass: at once on a clock that can be moved, and by waiting otherwise. */
  advance(ms: number): Promise<void>;
  /** Waits until an assertion holds. */
  until(check: () => unknown): Promise<unknown>;
  /** Opens another producer of the same broker. */
  openProducer(meta?: MetaSource): Producer;
  close(): Promise<void>;
}

const queue = defineQueue({ name: 'mail' });
const payload = v.object({ to: v.string() });
const sendEmail = defineTask({ name: 'send-email', queue: 'mail', payload, result: v.object({ sent: v.number() }) });
const remind = defineTask({ name: 'remind', queue: 'mail', payload: v.object({}) });
const charge = defineTask({ name: 'charge', queue: 'money', payload: v.object({}), priority: 100 });

const completed: Outcome = { kind: 'completed', resultJson: undefined };
const failure = { code: 'E_TASK_FAILED', causeName: 'Error', causeMessage: 'no', stack: 'Error: no\n    at x' };
const empty = { waiting: 0, active: 0, delayed: 0, prioritized: 0, failed: 0, completed: 0 };

const recipients = (deliveries: Delivery[]) => deliveries.map(({ input }) => (input as { to: string }).to);
const attempts = (deliveries: Delivery[]) => deliveries.map(({ attempt }) => attempt);

/** Redis keeps no order of fields. */
const fieldsOf = (meta: unknown) => Object.entries(meta as object).sort();

/** A meta at the limit, with names that other objects have, and texts that JSON has to escape. */
const odd: Record<string, string> = {
  ...JSON.parse('{"__proto__":"a","constructor":"b","1":"c","2":"d"}'),
  '€ "\\\n\0': '€ "\\\n\0😀',
  long: `${'€'.repeat(85)}x`,
  ...Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`f${index}`, ''])),
};

/** Consumes with `run`, and collects what was delivered. */
async function consume(
  { broker }: Rig,
  run: (delivery: Delivery) => Promise<Outcome>,
  options: Partial<ConsumeOptions> = {},
) {
  const delivered: Delivery[] = [];
  const troubles: string[] = [];
  const consumer = await broker.consume({
    queue,
    concurrency: 5,
    run(delivery) {
      delivered.push(delivery);
      return run(delivery);
    },
    onTrouble: (error) => troubles.push(error.message),
    onRecovered: (ids) => troubles.push(`recovered ${ids}`),
    onDead: (error) => troubles.push(error.message),
    ...options,
  });
  consumer.start();
  const close = async () => {
    await consumer.close();
    expect(troubles).toEqual([]);
  };
  return { delivered, consumer, close };
}

/** Serves the queue with outcomes given one after the other, and completes all later jobs. */
function serve(rig: Rig, ...outcomes: Outcome[]) {
  return consume(rig, async () => outcomes.shift() ?? completed, { concurrency: 1 });
}

/** Delivers a job, and lets the test decide when it ends, and how. */
async function hold(rig: Rig, options: Partial<ConsumeOptions> = {}) {
  let end = (_: Outcome) => {};
  const outcome = new Promise<Outcome>((resolve) => {
    end = resolve;
  });
  const served = await consume(rig, () => outcome, options);
  return { ...served, end };
}

/** Takes the next job of a queue through to its end, with no worker left behind. */
async function completeNext(rig: Rig, name = 'mail') {
  const { delivered, close } = await consume(rig, async () => completed, { queue: defineQueue({ name }) });
  await rig.until(() => expect(delivered).toHaveLength(1));
  await close();
}

/** What every broker promises to producers and workers. Each promise is tested in a rig of its own. */
export const promises: Record<string, (rig: Rig) => Promise<void>> = {
  async 'a completed job was delivered once, as it was enqueued, and is gone'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    await close();
    expect(delivered[0]).toMatchObject({
      queue: 'mail',
      task: 'send-email',
      jobId: id,
      input: { to: 'a' },
      attempt: 1,
    });
    expect(delivered[0]?.version).toBe(1);
    expect(delivered[0]?.abort.signal.aborted).toBe(false);
    expect(await rig.producer.counts('mail')).toEqual(empty);
    expect(await rig.producer.cancel(id)).toEqual({ found: 'nowhere' });
  },

  async 'a worker is told of each delivery that is over, after its outcome was written'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const told: unknown[] = [];
    const counts: Promise<unknown>[] = [];
    const { close } = await consume(rig, async () => completed, {
      onSettled({ queue: from, task, jobId, attempt, input }, outcome) {
        told.push({ from, task, jobId, attempt, input, outcome });
        counts.push(rig.producer.counts('mail'));
      },
    });
    await rig.until(() => expect(told).toHaveLength(1));
    const job = { from: 'mail', task: 'send-email', jobId: id, attempt: 1, input: { to: 'a' } };
    expect(told).toEqual([{ ...job, outcome: completed }]);
    expect(await Promise.all(counts)).toEqual([empty]);
    await close();
  },

  async 'the meta of a job arrives as it was sent, frozen, with each delivery and its end'(rig) {
    const metas = [{ tenant: 'acme', trace: '' }, odd, undefined];
    const producer = rig.openProducer(() => metas.shift());
    for (const to of ['plain', 'odd', 'none']) await producer.enqueue(sendEmail, { to });
    await producer.close();
    const ended: unknown[] = [];
    const onSettled: ConsumeOptions['onSettled'] = ({ meta }) => ended.push(meta);
    const outcomes: Outcome[] = [{ kind: 'retry', failure, delayMs: 20 }];
    const run = async () => outcomes.shift() ?? completed;
    const { delivered, close } = await consume(rig, run, { concurrency: 1, onSettled });
    // The retry may be there before anybody has counted three.
    await rig.until(() => expect(delivered.length).toBeGreaterThanOrEqual(3));
    await rig.advance(20);
    await rig.until(() => expect(ended).toHaveLength(4));
    await close();
    const expected = [{ tenant: 'acme', trace: '' }, odd, {}, { tenant: 'acme', trace: '' }].map(fieldsOf);
    for (const all of [delivered.map(({ meta }) => meta), ended]) {
      expect(all.map(fieldsOf)).toEqual(expected);
      for (const meta of all) {
        expect(Object.isFrozen(meta)).toBe(true);
        expect(Object.getPrototypeOf(meta)).toBe(Object.prototype);
      }
    }
    expect(delivered[2]?.meta).toBe(noMeta);
  },

  async 'a delivery and its end tell when the job was enqueued, and when this worker took it'(rig) {
    const before = rig.broker.now();
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    const enqueuedBy = rig.broker.now();
    await rig.advance(20);
    const ended: [number, number][] = [];
    const onSettled: ConsumeOptions['onSettled'] = ({ enqueuedAt, startedAt }) => ended.push([enqueuedAt, startedAt]);
    const outcomes: Outcome[] = [{ kind: 'retry', failure, delayMs: 20 }];
    const { delivered, close } = await consume(rig, async () => outcomes.shift() ?? completed, { onSettled });
    await rig.until(() => expect(ended).toHaveLength(1));
    await rig.advance(20);
    await rig.until(() => expect(ended).toHaveLength(2));
    await close();
    const [first, second] = delivered.map(({ enqueuedAt, startedAt }) => [enqueuedAt, startedAt] as [number, number]);
    expect(ended).toEqual([first, second]);
    const [[enqueuedAt, startedAt], [again, startedAgain]] = ended as [[number, number], [number, number]];
    expect(again).toBe(enqueuedAt);
    // Their clocks may differ by a few milliseconds.
    expect(enqueuedAt).toBeGreaterThanOrEqual(before - 10);
    expect(enqueuedAt).toBeLessThanOrEqual(enqueuedBy + 10);
    expect(startedAt - enqueuedAt).toBeGreaterThanOrEqual(10);
    expect(startedAgain - startedAt).toBeGreaterThanOrEqual(20);
    expect(startedAgain).toBeLessThanOrEqual(rig.broker.now() + 10);
  },

  async 'jobs come in the order in which they were enqueued'(rig) {
    const names = ['a', 'b', 'c', 'd'];
    await rig.producer.enqueueMany(
      sendEmail,
      names.map((to) => ({ payload: { to } })),
    );
    const { delivered, close } = await serve(rig);
    await rig.until(() => expect(recipients(delivered)).toEqual(names));
    await close();
  },

  async 'jobs of a queue with priorities come by these, and equal ones in their order'(rig) {
    for (const [id, priority] of Object.entries({ a: 5, b: 1, c: 5, d: 3 })) {
      await rig.producer.enqueue(charge, {}, { id, priority });
    }
    expect(await rig.producer.counts('money')).toEqual({ ...empty, prioritized: 4 });
    const money = defineQueue({ name: 'money' });
    const { delivered, close } = await consume(rig, async () => completed, { queue: money, concurrency: 1 });
    await rig.until(() => expect(delivered.map(({ jobId }) => jobId)).toEqual(['b', 'd', 'a', 'c']));
    await close();
  },

  async 'no more jobs run at once than the concurrency'(rig) {
    const names = ['a', 'b', 'c'];
    await rig.producer.enqueueMany(
      sendEmail,
      names.map((to) => ({ payload: { to } })),
    );
    const { delivered, end, close } = await hold(rig, { concurrency: 2 });
    await rig.until(() => expect(delivered).toHaveLength(2));
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, active: 2, waiting: 1 });
    end(completed);
    await rig.until(() => expect(delivered).toHaveLength(3));
    await close();
  },

  async 'two workers of a queue share its jobs, and none runs twice'(rig) {
    const ids = Array.from({ length: 100 }, (_, index) => `job-${index}`);
    await rig.producer.enqueueMany(
      sendEmail,
      ids.map((id) => ({ payload: { to: id }, id })),
    );
    const workers = await Promise.all([consume(rig, async () => completed), consume(rig, async () => completed)]);
    expect(await rig.producer.workers('mail')).toBe(2);
    const all = () => workers.flatMap(({ delivered }) => recipients(delivered)).sort();
    await rig.until(() => expect(all()).toHaveLength(100));
    for (const { close } of workers) await close();
    expect(all()).toEqual([...ids].sort());
    expect(await rig.producer.workers('mail')).toBe(0);
  },

  async 'a delayed job does not come before its time'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'later' }, { delayMs: 600 });
    await rig.producer.enqueue(sendEmail, { to: 'now' });
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, delayed: 1, waiting: 1 });
    const { delivered, close } = await serve(rig);
    await rig.until(() => expect(recipients(delivered)).toEqual(['now']));
    await rig.advance(100);
    expect(recipients(delivered)).toEqual(['now']);
    await rig.advance(500);
    await rig.until(() => expect(recipients(delivered)).toEqual(['now', 'later']));
    await close();
  },

  async 'a retry comes again as the next attempt, after its delay'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve(rig, { kind: 'retry', failure, delayMs: 600 });
    await rig.until(async () => expect(await rig.producer.counts('mail')).toEqual({ ...empty, delayed: 1 }));
    await rig.advance(100);
    expect(attempts(delivered)).toEqual([1]);
    await rig.advance(500);
    await rig.until(() => expect(attempts(delivered)).toEqual([1, 2]));
    await close();
  },

  async 'a failed job is kept, and not tried again'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve(rig, { kind: 'failed', failure });
    await rig.until(async () => expect(await rig.producer.counts('mail')).toEqual({ ...empty, failed: 1 }));
    await close();
    expect(delivered).toHaveLength(1);
    expect(await rig.producer.cancel(handle.id)).toEqual({ found: 'finished', queue: 'mail' });
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, failed: 1 });
  },

  async 'no more failed jobs are kept than the queue says'(rig) {
    const few = defineQueue({ name: 'mail', retention: { failedCount: 2 } });
    await rig.producer.enqueueMany(
      sendEmail,
      ['a', 'b', 'c'].map((to) => ({ payload: { to } })),
    );
    const { delivered, close } = await consume(rig, async () => ({ kind: 'failed', failure }), { queue: few });
    await rig.until(() => expect(delivered).toHaveLength(3));
    await close();
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, failed: 2 });
  },

  async 'completed jobs are kept where the queue says so, and are found finished'(rig) {
    const keeping = defineQueue({ name: 'mail', retention: { completedCount: 2 } });
    const handles = await rig.producer.enqueueMany(
      sendEmail,
      ['a', 'b', 'c'].map((to) => ({ payload: { to } })),
    );
    const { delivered, close } = await consume(rig, async () => completed, { queue: keeping, concurrency: 1 });
    await rig.until(() => expect(delivered).toHaveLength(3));
    await close();
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, completed: 2 });
    expect(await rig.producer.cancel(handles[2]?.id ?? '')).toEqual({ found: 'finished', queue: 'mail' });
    expect(await rig.producer.cancel(handles[0]?.id ?? '')).toEqual({ found: 'nowhere' });
  },

  async 'a released job comes before those that wait, with no attempt used, and remembers it'(rig) {
    for (const to of ['first', 'second']) await rig.producer.enqueue(sendEmail, { to });
    const { delivered, close } = await serve(rig, { kind: 'released', counted: true });
    await rig.until(() => expect(recipients(delivered)).toEqual(['first', 'first', 'second']));
    await close();
    expect(attempts(delivered)).toEqual([1, 1, 1]);
    expect(delivered.map(({ memory }) => memory.releases.length)).toEqual([0, 1, 0]);
  },

  async 'a released job with a priority comes before its equals'(rig) {
    for (const id of ['a', 'b']) await rig.producer.enqueue(charge, {}, { id });
    const outcomes: Outcome[] = [{ kind: 'released', counted: true }];
    const money = defineQueue({ name: 'money' });
    const run = async () => outcomes.shift() ?? completed;
    const { delivered, close } = await consume(rig, run, { queue: money, concurrency: 1 });
    await rig.until(() => expect(delivered.map(({ jobId }) => jobId)).toEqual(['a', 'a', 'b']));
    await close();
  },

  async 'a job that was given back unstarted does not count it as a release'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve(rig, { kind: 'released', counted: false });
    await rig.until(() => expect(delivered).toHaveLength(2));
    await close();
    expect(delivered[1]?.memory.releases).toEqual([]);
  },

  async 'a snoozed job comes again later, with no attempt used'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve(rig, { kind: 'snoozed', delayMs: 300 });
    await rig.until(async () => expect(await rig.producer.counts('mail')).toEqual({ ...empty, delayed: 1 }));
    await rig.advance(300);
    await rig.until(() => expect(attempts(delivered)).toEqual([1, 1]));
    await close();
  },

  async 'a rate limit stops the whole queue for so long, with no attempt used'(rig) {
    for (const to of ['a', 'b']) await rig.producer.enqueue(sendEmail, { to });
    const { delivered, close } = await serve(rig, { kind: 'rateLimited', delayMs: 600 });
    await rig.until(async () => expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 2 }));
    await rig.advance(100);
    expect(recipients(delivered)).toEqual(['a']);
    await rig.advance(500);
    await rig.until(() => expect(recipients(delivered)).toEqual(['a', 'a', 'b']));
    await close();
    expect(attempts(delivered)).toEqual([1, 1, 1]);
  },

  async 'a postponed job comes again with no attempt used, and remembers since when'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, close } = await serve(rig, { kind: 'postponed', delayMs: 50, unknownSince: 1234 });
    await rig.until(async () => expect(await rig.producer.counts('mail')).toMatchObject({ waiting: 0, active: 0 }));
    await rig.advance(50);
    await rig.until(() => expect(delivered).toHaveLength(2));
    await close();
    expect(delivered[1]).toMatchObject({ attempt: 1, memory: { unknownSince: 1234 } });
  },

  async 'a payload arrives anew with each delivery'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    const outcomes: Outcome[] = [{ kind: 'released', counted: true }];
    const { delivered, close } = await consume(rig, async ({ input, attempt }) => {
      (input as { to: string }).to += attempt;
      return outcomes.shift() ?? completed;
    });
    await rig.until(() => expect(recipients(delivered)).toEqual(['a1', 'a1']));
    await close();
  },

  async 'the fence of an at-most-once job is passed once, and arrives with the next delivery'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    const passed: boolean[] = [];
    const outcomes: Outcome[] = [{ kind: 'released', counted: false }];
    const { delivered, close } = await consume(rig, async (delivery) => {
      passed.push(await delivery.markStarted());
      return outcomes.shift() ?? completed;
    });
    await rig.until(() => expect(delivered).toHaveLength(2));
    await close();
    expect(delivered.map(({ memory }) => memory.started)).toEqual([undefined, expect.stringMatching(/:1$/)]);
    expect(passed).toEqual([true, false]);
  },

  async 'a job that waits ends at once when it is cancelled, wherever it waits'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'in-wait' });
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'in-delayed', delayMs: 300 });
    await rig.producer.enqueue(charge, {}, { id: 'in-prioritized' });
    const found = await Promise.all(['in-wait', 'in-delayed', 'in-prioritized'].map((id) => rig.producer.cancel(id)));
    expect(found.map((one) => one.found)).toEqual(['waiting', 'waiting', 'waiting']);
    expect(found.map((one) => one.queue)).toEqual(['mail', 'mail', 'money']);
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, failed: 2 });
    expect(await rig.producer.counts('money')).toEqual({ ...empty, failed: 1 });
    const { delivered, close } = await serve(rig);
    await rig.advance(400);
    expect(delivered).toEqual([]);
    await close();
  },

  async 'a running job is aborted when it is cancelled, with the reason'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, end, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    expect(await rig.producer.cancel(id, { reason: 'no longer wanted' })).toEqual({ found: 'running', queue: 'mail' });
    const { signal } = delivered[0]?.abort ?? new JobAbort();
    await rig.until(() => expect(signal.aborted).toBe(true));
    expect(signal.reason).toMatchObject({ code: 'E_JOB_CANCELLED' });
    expect(signal.reason.message).toBe(`Job "${id}" was cancelled: no longer wanted`);
    end({ kind: 'cancelled', failure: { ...failure, code: 'E_JOB_CANCELLED' } });
    await rig.until(async () => expect(await rig.producer.counts('mail')).toEqual({ ...empty, failed: 1 }));
    await close();
  },

  async 'a job whose outcome is made before the cancel is not said to be aborted'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, end, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    const { abort } = delivered[0] as Delivery;
    abort.isDecided = true;
    expect(await rig.producer.cancel(id)).toEqual({ found: 'asked', queue: 'mail' });
    expect(abort.aborted).toBe(false);
    end(completed);
    await close();
    expect(await rig.producer.cancel(id)).toEqual({ found: 'nowhere' });
  },

  async 'a wait that timed out says what the job waits for'(rig) {
    const wait = async (handle: { result(options: { timeoutMs: number }): Promise<unknown> }) => {
      const waiting = handle.result({ timeoutMs: 20 }).then(
        () => expect.fail('there is a result'),
        (error) => error,
      );
      await rig.advance(20);
      const { code, message } = await waiting;
      expect(code).toBe('E_RESULT_TIMEOUT');
      return message.replace(/^Job "[^"]+" of task "send-email" has no result after 20 ms\. /, '');
    };
    const options = { keepResultMs: 60_000 };
    const first = await rig.producer.enqueue(sendEmail, { to: 'a' }, options);
    expect(await wait(first)).toBe('The job goes on. Queue "mail" has no worker: start one.');
    const { delivered, end, close } = await hold(rig, { concurrency: 1 });
    await rig.until(() => expect(delivered).toHaveLength(1));
    expect(await wait(first)).toBe('The job goes on. It runs: wait longer, with `timeoutMs`.');
    const second = await rig.producer.enqueue(sendEmail, { to: 'b' }, options);
    expect(await wait(second)).toMatch(/^The job goes on\. It waits behind other jobs of queue "mail": wait longer/);
    const delayed = await rig.producer.enqueue(sendEmail, { to: 'c' }, { ...options, delayMs: 60_000 });
    expect(await wait(delayed)).toMatch(/^The job goes on\. It is delayed, and due in (59|60)\d{3} ms: wait longer/);
    end({ kind: 'completed', resultJson: undefined, keepResultMs: 1 });
    await rig.until(() => expect(delivered).toHaveLength(2));
    await close();
    await rig.advance(10);
    expect(await wait(first)).toBe(
      'It has ended, and its result has expired or was removed: read it sooner, or raise `keepResultMs`.',
    );
  },

  async 'a job that was cancelled while it ran arrives aborted, when it is released'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, end, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    await rig.producer.cancel(id, { reason: 'no longer wanted' });
    await rig.until(() => expect(delivered[0]?.abort.signal.aborted).toBe(true));
    const closing = close();
    end({ kind: 'released', counted: true });
    await closing;
    const next = await serve(rig, { kind: 'cancelled', failure });
    await rig.until(() => expect(next.delivered).toHaveLength(1));
    await next.close();
    expect(next.delivered[0]?.memory.cancel).toBe('no longer wanted');
    expect(next.delivered[0]?.abort.signal.aborted).toBe(true);
  },

  async 'who waits for the result of a job that is cancelled is told'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 60_000 });
    const early = handle.result({ timeoutMs: 5_000 }).catch((error) => error);
    await rig.producer.cancel(handle.id);
    const told = { name: 'TaskFailedError', code: 'E_JOB_CANCELLED', causeName: 'CancelledError' };
    const causeMessage = `Job "${handle.id}" was cancelled: on request`;
    expect(await early).toMatchObject({ ...told, causeMessage });
    await expect(handle.result()).rejects.toMatchObject({ ...told, causeMessage });
  },

  async 'an id that two queues have is cancelled in none, unless one is named'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'x' });
    await rig.producer.enqueue(charge, {}, { id: 'x' });
    await expect(rig.producer.cancel('x')).rejects.toMatchObject({
      code: 'E_JOB_AMBIGUOUS',
      message: 'Queues "mail" and "money" each have a job "x". Nothing was cancelled. Name one as `queue`.',
    });
    expect(await rig.producer.cancel('x', { queue: 'money' })).toEqual({ found: 'waiting', queue: 'money' });
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 1 });
  },

  async 'an id that no queue has is found nowhere'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' });
    expect(await rig.producer.cancel('unknown')).toEqual({ found: 'nowhere' });
    expect(await rig.producer.cancel('unknown', { queue: 'mail' })).toEqual({ found: 'nowhere' });
  },

  async 'a consumer that isolates a job takes no other until it has rejoined'(rig) {
    const { delivered, consumer, close } = await serve(rig);
    await consumer.isolate();
    await rig.producer.enqueueMany(sendEmail, [{ payload: { to: 'a' } }, { payload: { to: 'b' } }]);
    await rig.advance(50);
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 2 });
    expect(delivered).toEqual([]);
    await consumer.rejoin();
    await rig.until(() => expect(delivered).toHaveLength(2));
    await close();
  },

  async 'a consumer isolates a job when no other one runs beside it'(rig) {
    await rig.producer.enqueueMany(sendEmail, [{ payload: { to: 'a' } }, { payload: { to: 'b' } }]);
    const { delivered, end, consumer, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(2));
    let alone = false;
    const isolating = consumer.isolate(delivered[0]?.jobId).then(() => {
      alone = true;
    });
    await rig.advance(50);
    expect(alone).toBe(false);
    end(completed);
    await isolating;
    await consumer.rejoin(delivered[0]?.jobId);
    await close();
  },

  async 'a consumer that was stopped takes no job, and closes when the running ones are settled'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { delivered, end, consumer, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    consumer.stop();
    await rig.producer.enqueue(sendEmail, { to: 'b' });
    let closed = false;
    const closing = close().then(() => {
      closed = true;
    });
    await rig.advance(50);
    expect(closed).toBe(false);
    end(completed);
    await closing;
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 1 });
    expect(await rig.producer.cancel(id)).toEqual({ found: 'nowhere' });
    expect(delivered).toHaveLength(1);
  },

  async 'a result reaches a waiter that came before it, and one that came after'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 5_000 });
    const early = handle.result({ timeoutMs: 5_000 });
    const { delivered, close } = await serve(rig, {
      kind: 'completed',
      resultJson: '{"sent":3}',
      keepResultMs: 5_000,
    });
    expect(await early).toEqual({ sent: 3 });
    expect(await handle.result({ timeoutMs: 1_000 })).toEqual({ sent: 3 });
    expect(delivered[0]?.keepResultMs).toBe(5_000);
    await close();
  },

  async 'payloads and results arrive as they were'(rig) {
    const keep = defineTask({ name: 'keep', queue: 'mail', payload: v.any(), keepResultMs: 5_000 });
    const handles = await rig.producer.enqueueMany(
      keep,
      carried.map((payload) => ({ payload })),
    );
    const echo = async (job: Delivery) => complete(job, keep, toResultJson(keep, job.input));
    const { delivered, close } = await consume(rig, echo, { concurrency: 1 });
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(carried);
    expect(delivered.map(({ input }) => input)).toEqual(carried);
    await close();
  },

  async 'a payload that would not arrive as it was is refused with its path'(rig) {
    const keep = defineTask({ name: 'keep', queue: 'mail', payload: v.any() });
    for (const [, make, problem] of refused) {
      const failure = expect(rig.producer.enqueueMany(keep, [{ payload: 1 }, { payload: make() }])).rejects;
      await failure.toMatchObject({ code: 'E_PAYLOAD_INVALID', message: expect.stringContaining(problem) });
    }
    expect(await rig.producer.counts('mail')).toEqual(empty);
  },

  async 'a failure reaches who waits for the result, with code and cause'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 5_000 });
    const { close } = await serve(rig, { kind: 'failed', failure, keepResultMs: 5_000 });
    await expect(handle.result({ timeoutMs: 5_000 })).rejects.toMatchObject({
      name: 'TaskFailedError',
      ...{ code: 'E_TASK_FAILED', causeName: 'Error', causeMessage: 'no' },
    });
    await close();
  },

  async 'a failure reaches who waits with its own code and detail, and what stands behind it'(rig) {
    const causes = [{ name: 'Error', message: 'connect failed', code: 'ECONNREFUSED', detail: 'port 5432' }];
    const told = { ...failure, causeCode: 'EOUTER', causeDetail: 'twice', causes };
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 5_000 });
    const { close } = await serve(rig, { kind: 'failed', failure: told, keepResultMs: 5_000 });
    await expect(handle.result({ timeoutMs: 5_000 })).rejects.toMatchObject({
      message: `Job "${handle.id}" failed: Error: no (EOUTER: twice); caused by Error: connect failed (ECONNREFUSED: port 5432)`,
      ...{ causeCode: 'EOUTER', causeDetail: 'twice', causes },
    });
    await close();
  },

  async 'a delivery that ends without an outcome is counted, and fails its job after a few'(rig) {
    await rig.producer.enqueueMany(sendEmail, [{ payload: { to: 'bad' } }, { payload: { to: 'good' } }]);
    const ended: Outcome[] = [];
    const troubles: string[] = [];
    const run = async ({ input }: Delivery) => {
      if ((input as { to: string }).to === 'bad') throw new TypeError('Islet fails');
      return completed;
    };
    const onSettled = (_: unknown, outcome: Outcome) => void ended.push(outcome);
    const onTrouble = ({ message }: Error) => void troubles.push(message);
    const { delivered, consumer } = await consume(rig, run, { concurrency: 1, onSettled, onTrouble });
    await rig.until(() => expect(ended).toHaveLength(5));
    expect(delivered.map(({ memory }) => memory.unsettled)).toEqual([0, 1, 2, 0]);
    expect(ended[3]).toMatchObject({ kind: 'failed', failure: { code: 'E_INTERNAL' } });
    expect((ended[3] as { failure: typeof failure }).failure.causeMessage).toMatch(
      /^3 deliveries of job ".+" ended without an outcome, although their workers live: Islet itself failed\. See/,
    );
    expect(troubles[0]).toBe('Islet fails');
    await consumer.close();
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, failed: 1 });
  },

  async 'a result is kept for its time, and not longer'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 300 });
    const { delivered, close } = await serve(rig, { kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 300 });
    await rig.until(() => expect(delivered).toHaveLength(1));
    await close();
    await rig.advance(400);
    const late = expect(handle.result({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_RESULT_TIMEOUT' });
    await rig.advance(50);
    await late;
  },

  async 'an id of its own is accepted once, also after the job is done and gone'(rig) {
    const enqueue = () => rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome' });
    expect(await enqueue()).toMatchObject({ id: 'welcome', accepted: true });
    expect(await enqueue()).toMatchObject({ id: 'welcome', accepted: false });
    await completeNext(rig);
    expect(await enqueue()).toMatchObject({ id: 'welcome', accepted: false });
    expect(await rig.producer.counts('mail')).toEqual(empty);
  },

  async 'an id that stands for a job of another task is refused, also after that is done and gone'(rig) {
    const enqueue = () => rig.producer.enqueue(remind, {}, { id: 'welcome', keepResultMs: 5_000 });
    const refused = {
      code: 'E_JOB_ID_TAKEN',
      message:
        'The id "welcome" of queue "mail" stands for a job of task "send-email", not of "remind". ' +
        'Nothing was enqueued. Use an id that names its task, too.',
    };
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome', keepResultMs: 5_000 });
    await expect(enqueue()).rejects.toMatchObject(refused);
    const { delivered, close } = await serve(rig, {
      kind: 'completed',
      resultJson: '{"sent":3}',
      keepResultMs: 5_000,
    });
    await rig.until(() => expect(delivered).toHaveLength(1));
    await close();
    await expect(enqueue()).rejects.toMatchObject(refused);
    expect(await rig.producer.counts('mail')).toEqual(empty);
  },

  async 'an id of a task stands for its jobs after the task got a new name'(rig) {
    const mailOut = defineTask({ name: 'mail-out', queue: 'mail', payload, formerNames: ['send-email'] });
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome' });
    expect(await rig.producer.enqueue(mailOut, { to: 'a' }, { id: 'welcome' })).toMatchObject({ accepted: false });
  },

  async 'the result of a job of another task is not taken for this one’s'(rig) {
    const short = { id: 'welcome', idempotencyMs: 300, keepResultMs: 60_000 };
    const { result } = await rig.producer.enqueue(sendEmail, { to: 'a' }, short);
    const kept = { kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 60_000 } as const;
    const { delivered, close } = await serve(rig, completed, kept);
    await rig.until(() => expect(delivered).toHaveLength(1));
    await rig.advance(400);
    const other = await rig.producer.enqueue(remind, {}, short);
    expect(await other.result({ timeoutMs: 5_000 })).toEqual({ sent: 3 });
    await close();
    await expect(result({ timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'E_JOB_ID_TAKEN',
      message: expect.stringContaining('of task "remind", not of "send-email". Its result was not read.'),
    });
  },

  async 'a job of another task is not cancelled'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    await expect(rig.producer.cancel(id, { queue: 'mail', task: 'remind' })).rejects.toMatchObject({
      code: 'E_JOB_ID_TAKEN',
      message: expect.stringContaining('of task "send-email", not of "remind". Nothing was cancelled.'),
    });
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 1 });
    expect(await rig.producer.cancel(id, { task: 'send-email' })).toEqual({ found: 'waiting', queue: 'mail' });
  },

  async 'a job is cancelled under a former name of its task, whose manifest is given'(rig) {
    const renamed = { ...sendEmail, name: 'post-email', formerNames: ['send-email'] };
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    await expect(rig.producer.cancel(id, { task: 'post-email' })).rejects.toMatchObject({ code: 'E_JOB_ID_TAKEN' });
    await expect(rig.producer.cancel(id, { task: { ...renamed, formerNames: [] } })).rejects.toMatchObject({
      message: expect.stringContaining('of task "send-email", not of "post-email". Nothing was cancelled.'),
    });
    expect(await rig.producer.cancel(id, { task: { ...renamed, queue: 'other' } })).toEqual({ found: 'nowhere' });
    expect(await rig.producer.cancel(id, { task: renamed })).toEqual({ found: 'waiting', queue: 'mail' });
  },

  async 'an id of its own is accepted again after its window, when the job is gone'(rig) {
    const enqueue = () => rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome', idempotencyMs: 500 });
    await enqueue();
    await completeNext(rig);
    await rig.advance(550);
    expect(await enqueue()).toMatchObject({ accepted: true });
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 1 });
  },

  async 'an id of its own is not accepted after its window, while the job still waits'(rig) {
    const enqueue = () => rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'welcome', idempotencyMs: 20 });
    await enqueue();
    await rig.advance(60);
    expect(await enqueue()).toMatchObject({ accepted: false });
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 1 });
  },

  async 'an id of its own is told apart in a bulk from those that are generated'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'old' });
    const handles = await rig.producer.enqueueMany(sendEmail, [
      { payload: { to: 'a' } },
      { payload: { to: 'b' }, id: 'old' },
      { payload: { to: 'c' }, id: 'new' },
      { payload: { to: 'd' }, id: 'new' },
    ]);
    expect(handles.map(({ accepted }) => accepted)).toEqual([true, false, true, false]);
    expect(handles.slice(1).map(({ id }) => id)).toEqual(['old', 'new', 'new']);
  },

  async 'an id is accepted from exactly one of two producers that send it at once'(rig) {
    const other = rig.openProducer();
    const ids = Array.from({ length: 50 }, (_, index) => `race-${index}`);
    const answers = await Promise.all(
      ids.map((id) => Promise.all([rig.producer, other].map((one) => one.enqueue(sendEmail, { to: 'a' }, { id })))),
    );
    await other.close();
    expect(answers.map((pair) => pair.filter(({ accepted }) => accepted).length)).toEqual(ids.map(() => 1));
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 50 });
  },

  async 'a job that a task sends with the same id again is made once'(rig) {
    const job = { task: 'send-email', queue: 'mail', id: 'child', payloadJson: '{"to":"a"}', version: 1 };
    await rig.broker.send([{ ...job, idempotencyMs: 60_000 }]);
    await rig.broker.send([{ ...job, idempotencyMs: 60_000 }]);
    await completeNext(rig);
    await rig.broker.send([{ ...job, idempotencyMs: 60_000 }]);
    expect(await rig.producer.counts('mail')).toEqual(empty);
  },

  async 'a simple dedupe key lasts until the job has ended'(rig) {
    const enqueue = () => rig.producer.enqueue(sendEmail, { to: 'a' }, { dedupe: { key: 'user:1', mode: 'simple' } });
    const first = await enqueue();
    expect(first.accepted).toBe(true);
    expect(await enqueue()).toMatchObject({ id: first.id, accepted: false });
    await completeNext(rig);
    const second = await enqueue();
    expect(second.accepted).toBe(true);
    await rig.producer.cancel(second.id);
    expect(await enqueue()).toMatchObject({ accepted: true });
  },

  async 'a simple dedupe key is free when the job has failed'(rig) {
    const enqueue = () => rig.producer.enqueue(sendEmail, { to: 'a' }, { dedupe: { key: 'user:1', mode: 'simple' } });
    await enqueue();
    const { close } = await serve(rig, { kind: 'failed', failure });
    await rig.until(async () => expect(await rig.producer.counts('mail')).toEqual({ ...empty, failed: 1 }));
    await close();
    expect(await enqueue()).toMatchObject({ accepted: true });
  },

  async 'a throttle lasts for its time from the first job, whatever became of it'(rig) {
    const dedupe = { key: 'user:1', mode: 'throttle', ttlMs: 600 } as const;
    const enqueue = () => rig.producer.enqueue(sendEmail, { to: 'a' }, { dedupe });
    const first = await enqueue();
    await completeNext(rig);
    expect(await enqueue()).toMatchObject({ id: first.id, accepted: false });
    await rig.advance(600);
    const next = await enqueue();
    expect(next).toMatchObject({ accepted: true });
    await rig.producer.cancel(next.id);
    expect(await enqueue()).toMatchObject({ id: next.id, accepted: false });
  },

  async 'a debounce replaces the job that is still delayed, and starts anew'(rig) {
    const dedupe = { key: 'user:1', mode: 'debounce', ttlMs: 600 } as const;
    const enqueue = (to: string) => rig.producer.enqueue(sendEmail, { to }, { dedupe, delayMs: 600 });
    const first = await enqueue('old');
    await rig.advance(400);
    const second = await enqueue('new');
    expect(second.accepted).toBe(true);
    expect(second.id).not.toBe(first.id);
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, delayed: 1 });
    const { delivered, close } = await serve(rig);
    await rig.advance(300);
    expect(delivered).toEqual([]);
    await rig.advance(300);
    await rig.until(() => expect(recipients(delivered)).toEqual(['new']));
    await close();
  },

  async 'a debounce names the job that is not delayed any more'(rig) {
    const dedupe = { key: 'user:1', mode: 'debounce', ttlMs: 60_000 } as const;
    const first = await rig.producer.enqueue(sendEmail, { to: 'old' }, { dedupe, delayMs: 1 });
    const { delivered, end, close } = await hold(rig);
    await rig.advance(50);
    await rig.until(() => expect(delivered).toHaveLength(1));
    const second = await rig.producer.enqueue(sendEmail, { to: 'new' }, { dedupe, delayMs: 1 });
    expect(second).toMatchObject({ id: first.id, accepted: false });
    end(completed);
    await close();
  },

  async 'a dedupe key is one of its task: neither another task nor an id clashes with it'(rig) {
    const dedupe = { key: 'user-1', mode: 'simple' } as const;
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { dedupe });
    const other = await rig.producer.enqueue(remind, {}, { dedupe });
    const id = await rig.producer.enqueue(remind, {}, { id: 'user-1' });
    expect([other, id].map(({ accepted }) => accepted)).toEqual([true, true]);
  },

  async 'a job is read in each state, under its queue, with its attempts and times'(rig) {
    const { producer } = rig;
    const startedAt = rig.broker.now();
    await producer.enqueue(sendEmail, { to: 'a' }, { id: 'first', keepResultMs: 60_000 });
    await producer.enqueue(sendEmail, { to: 'b' }, { id: 'later', delayMs: 60_000 });
    await producer.enqueue(charge, {}, { id: 'urgent' });
    const waiting = { id: 'first', task: 'send-email', queue: 'mail', state: 'waiting', attempts: 0 };
    expect(await producer.job('first')).toEqual({ ...waiting, enqueuedAt: expect.any(Number) });
    expect(await producer.job('later')).toMatchObject({ state: 'delayed', attempts: 0 });
    expect(await producer.job('urgent')).toMatchObject({ queue: 'money', state: 'prioritized' });
    const { delivered, end, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    await delivered[0]?.reportProgress({ percent: 50 });
    const active = await producer.job('first', { queue: 'mail' });
    const began = { startedAt: expect.any(Number), enqueuedAt: delivered[0]?.enqueuedAt };
    expect(active).toEqual({ ...waiting, ...began, state: 'active', progress: { percent: 50 } });
    end({ kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 60_000 });
    await close();
    const ended = { ...active, state: 'completed', attempts: 1, result: { sent: 3 }, endedAt: expect.any(Number) };
    expect(await producer.job('first')).toEqual(ended);
    const { enqueuedAt = 0, startedAt: begunAt = 0, endedAt = 0 } = (await producer.job('first')) ?? {};
    expect([startedAt - 1_000, enqueuedAt, begunAt, endedAt, rig.broker.now() + 1_000]).toEqual(
      [startedAt - 1_000, enqueuedAt, begunAt, endedAt, rig.broker.now() + 1_000].sort((a, b) => a - b),
    );
  },

  async 'a job that fails is read with its failure, and between its attempts without'(rig) {
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const { close } = await serve(rig, { kind: 'retry', failure, delayMs: 300 }, { kind: 'failed', failure });
    await rig.until(async () => expect(await rig.producer.job(id)).toMatchObject({ state: 'delayed', attempts: 1 }));
    expect((await rig.producer.job(id))?.failure).toBeUndefined();
    await rig.advance(300);
    await rig.until(async () => expect(await rig.producer.job(id)).toMatchObject({ state: 'failed', attempts: 2 }));
    await close();
    const { failure: told, endedAt, result } = (await rig.producer.job(id)) ?? {};
    expect(told).toEqual({ code: 'E_TASK_FAILED', message: 'Error: no' });
    expect(endedAt).toEqual(expect.any(Number));
    expect(result).toBeUndefined();
  },

  async 'a job that was cancelled is read as failed, with the attempts that it had'(rig) {
    const keep = { keepResultMs: 60_000 };
    const { id: waited } = await rig.producer.enqueue(sendEmail, { to: 'a' }, keep);
    await rig.producer.cancel(waited, { reason: 'no longer wanted' });
    const failed = { state: 'failed', failure: { code: 'E_JOB_CANCELLED' }, endedAt: expect.any(Number) };
    expect(await rig.producer.job(waited)).toMatchObject({ ...failed, attempts: 0 });
    expect((await rig.producer.job(waited))?.failure?.message).toBe(
      `CancelledError: Job "${waited}" was cancelled: no longer wanted`,
    );
    const { id: ran } = await rig.producer.enqueue(sendEmail, { to: 'a' }, keep);
    const { delivered, end, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    await rig.producer.cancel(ran);
    end({ kind: 'cancelled', failure: { ...failure, code: 'E_JOB_CANCELLED' } });
    await close();
    expect(await rig.producer.job(ran)).toMatchObject({ ...failed, attempts: 1, startedAt: expect.any(Number) });
  },

  async 'a job that is kept without its result is read without one'(rig) {
    const keeping = defineQueue({ name: 'mail', retention: { completedCount: 1 } });
    const { id } = await rig.producer.enqueue(sendEmail, { to: 'a' });
    const run = async (): Promise<Outcome> => ({ kind: 'completed', resultJson: undefined });
    const { close } = await consume(rig, run, { queue: keeping });
    await rig.until(async () => expect(await rig.producer.job(id)).toMatchObject({ state: 'completed', attempts: 1 }));
    await close();
    expect((await rig.producer.job(id, { task: sendEmail }))?.result).toBeUndefined();
  },

  async 'a job that is gone is read from its result, as long as that is kept'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'x', keepResultMs: 400 });
    const { close } = await serve(rig, { kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 400 });
    await handle.result({ timeoutMs: 5_000 });
    await close();
    expect(await rig.producer.cancel('x')).toEqual({ found: 'nowhere' });
    expect(await rig.producer.job('x', { task: sendEmail })).toMatchObject({ state: 'completed', result: { sent: 3 } });
    await rig.advance(500);
    expect(await rig.producer.job('x')).toBeUndefined();
  },

  async 'the result that an earlier job of an id has left is not taken for that of a later one'(rig) {
    const short = { id: 'x', idempotencyMs: 100, keepResultMs: 60_000 };
    const first = await rig.producer.enqueue(sendEmail, { to: 'a' }, short);
    const keeping = defineQueue({ name: 'mail', retention: { completedCount: 0 } });
    const kept = { kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 60_000 } as const;
    const outcomes: Outcome[] = [kept];
    const { close } = await consume(rig, async () => outcomes.shift() ?? { kind: 'failed', failure }, {
      queue: keeping,
    });
    await first.result({ timeoutMs: 5_000 });
    await rig.advance(150);
    const delayed = { id: 'x', idempotencyMs: 100, delayMs: 200 };
    await rig.producer.enqueue(sendEmail, { to: 'b' }, delayed);
    expect(await rig.producer.job('x')).toMatchObject({ state: 'delayed', attempts: 0 });
    expect((await rig.producer.job('x'))?.result).toBeUndefined();
    await rig.advance(200);
    await rig.until(async () => expect(await rig.producer.job('x')).toMatchObject({ state: 'failed' }));
    await close();
    expect((await rig.producer.job('x'))?.failure).toEqual({ code: 'E_TASK_FAILED', message: 'Error: no' });
  },

  async 'a result is checked by the schema of the task that is asked for, and else comes as it is stored'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'x', keepResultMs: 60_000 });
    const { close } = await serve(rig, { kind: 'completed', resultJson: '{"sent":"3"}', keepResultMs: 60_000 });
    await expect(handle.result({ timeoutMs: 5_000 })).rejects.toMatchObject({ code: 'E_RESULT_INVALID' });
    await close();
    expect((await rig.producer.job('x'))?.result).toEqual({ sent: '3' });
    await expect(rig.producer.job('x', { task: sendEmail })).rejects.toMatchObject({
      code: 'E_RESULT_INVALID',
      message: expect.stringContaining('`sent`'),
    });
  },

  async 'an id that no job has, or no job can have, is read as nothing'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'x' });
    for (const id of ['unknown', 'wait', 'meta', 'result:x', 'x:lock', '', ' ', '17', '\ud800', 'x'.repeat(10_000)]) {
      expect([id, await rig.producer.job(id), await rig.producer.job(id, { queue: 'mail' })]).toEqual([
        ...[id, undefined, undefined],
      ]);
    }
    await expect(rig.producer.job(17 as never)).rejects.toMatchObject({
      code: 'E_OPTIONS_INVALID',
      message: 'The id of job: expected a text, got 17.',
    });
  },

  async 'a job is found in its queue alone, and only as one of its task'(rig) {
    const mailOut = defineTask({ name: 'mail-out', queue: 'mail', payload, formerNames: ['send-email'] });
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'x' });
    expect(await rig.producer.job('x', { queue: 'money' })).toBeUndefined();
    expect(await rig.producer.job('x', { task: charge })).toBeUndefined();
    expect(await rig.producer.job('x', { task: mailOut })).toMatchObject({ task: 'send-email' });
    await expect(rig.producer.job('x', { task: remind })).rejects.toMatchObject({
      code: 'E_JOB_ID_TAKEN',
      message:
        'The id "x" of queue "mail" stands for a job of task "send-email", not of "remind". Nothing was read. ' +
        'Use an id that names its task, too.',
    });
  },

  async 'an id that two queues have is read from neither, unless one is named'(rig) {
    await rig.producer.enqueue(sendEmail, { to: 'a' }, { id: 'x' });
    await rig.producer.enqueue(charge, {}, { id: 'x' });
    await expect(rig.producer.job('x')).rejects.toMatchObject({
      code: 'E_JOB_AMBIGUOUS',
      message: 'Queues "mail" and "money" each have a job "x". Nothing was read. Name one as `queue`.',
    });
    expect(await rig.producer.job('x', { task: charge })).toMatchObject({ queue: 'money' });
  },

  async 'who waits hears each new progress until the end, in its order, and nothing after it'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 60_000 });
    const { delivered, end, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    const [delivery] = delivered as [Delivery];
    await delivery.reportProgress(10);
    const heard: unknown[] = [];
    const waiting = handle.result({ timeoutMs: 5_000, onProgress: (progress) => heard.push(progress) });
    await rig.until(() => expect(heard).toEqual([10]));
    await delivery.reportProgress(10);
    await delivery.reportProgress({ percent: 50 });
    await rig.until(() => expect(heard).toEqual([10, { percent: 50 }]));
    await delivery.reportProgress(10);
    await rig.until(() => expect(heard).toEqual([10, { percent: 50 }, 10]));
    // The job is gone before anybody can read this.
    await delivery.reportProgress(100);
    end({ kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 60_000 });
    expect(await waiting).toEqual({ sent: 3 });
    expect(heard).toEqual([10, { percent: 50 }, 10, 100]);
    await delivery.reportProgress(101).catch(() => {});
    await close();
    expect(await handle.result({ onProgress: (progress) => heard.push(['again', progress]) })).toEqual({ sent: 3 });
    await rig.advance(20);
    expect(heard.slice(4)).toEqual([['again', 100]]);
  },

  async 'an onProgress that throws does not end the wait, and is warned of'(rig) {
    const handle = await rig.producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 60_000 });
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { delivered, end, close } = await hold(rig);
    await rig.until(() => expect(delivered).toHaveLength(1));
    const calls: unknown[] = [];
    const hostile = {
      [Symbol.for('nodejs.util.inspect.custom')]() {
        throw new Error('not for you');
      },
    };
    const waiting = handle.result({
      timeoutMs: 5_000,
      async onProgress(progress) {
        calls.push(progress);
        throw progress === 1 ? new Error('no room') : hostile;
      },
    });
    for (const progress of [1, 2]) {
      await delivered[0]?.reportProgress(progress);
      await rig.until(() => expect(calls.at(-1)).toBe(progress));
    }
    await rig.until(() => expect(warn).toHaveBeenCalledTimes(2));
    const seen = expect.stringMatching(/^onProgress of job ".+" threw, and the wait .* goes on: Error: no room/);
    expect(warn.mock.calls[0]).toEqual([seen, { type: 'IsletWarning', code: 'ISLET_ON_PROGRESS' }]);
    expect(warn.mock.calls[1]?.[0]).toMatch(/goes on: a value \(object\) that cannot be shown$/);
    warn.mockRestore();
    end({ kind: 'completed', resultJson: '{"sent":3}', keepResultMs: 60_000 });
    expect(await waiting).toEqual({ sent: 3 });
    await close();
  },

  async 'a closed producer refuses every use, and ends its waits'(rig) {
    const producer = rig.openProducer();
    const handle = await producer.enqueue(sendEmail, { to: 'a' }, { keepResultMs: 5_000 });
    const waiting = handle.result().catch((error) => error);
    await rig.advance(20);
    await producer.close();
    await producer.close();
    const uses = [
      waiting.then((error) => Promise.reject(error)),
      producer.enqueue(sendEmail, { to: 'a' }),
      producer.cancel('x'),
      producer.job('x'),
      producer.job('x', { queue: 'mail' }),
      producer.counts('mail'),
      producer.workers('mail'),
      handle.result(),
    ];
    for (const use of uses) {
      await expect(use).rejects.toMatchObject({
        code: 'E_PRODUCER_CLOSED',
        message: 'The producer is closed. Create another one, or close it later.',
      });
    }
    expect(await rig.producer.counts('mail')).toEqual({ ...empty, waiting: 1 });
  },
};
