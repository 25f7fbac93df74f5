import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Editor, openEditor } from '../support/editor.ts';

let editor: Editor;

beforeAll(async () => {
  editor = await openEditor('test/types/completion/program.ts');
});

afterAll(() => editor.close());

const imports = `
import { defineQueue, defineTask } from 'islet';
import type { Producer } from 'islet/producer';
import { defineHooks, implement, type TaskContext } from 'islet/task';
import { expectIdempotent, runTask } from 'islet/testing';
import * as v from 'valibot';
import { charge, type Dependencies, report, sendEmail } from '../app.ts';

declare const producer: Producer;
const task = implement(sendEmail, async (payload, { deps }: TaskContext<Dependencies>) => ({ messageId: 1 }));
`;

async function names(line: string): Promise<string[]> {
  return (await editor.complete(imports + line)).map(({ name }) => name);
}

const taskOptions = [
  ...[
    'abandonAfterMs',
    'attempts',
    'backoff',
    'delivery',
    'formerNames',
    'keepResultMs',
    'keepReturnValue',
    'load',
    'maxPayloadBytes',
  ],
  ...['maxResultBytes', 'name', 'payload', 'pool', 'priority', 'queue', 'redact', 'result', 'retries', 'timeoutMs'],
  'version',
];
const but = (all: string[], ...given: string[]) => all.filter((name) => !given.includes(name));
const enqueueOptions = ['dedupe', 'delayMs', 'id', 'idempotencyMs', 'keepResultMs', 'priority'];
const context = ['attempt', 'deps', 'enqueue', 'jobId', 'log', 'meta', 'progress', 'rateLimited', 'signal', 'snooze'];

test.each<[line: string, suggested: string[]]>([
  [`defineTask({ | })`, taskOptions],
  [`defineTask({ name: 'a', queue: 'q', payload: v.object({}), | })`, but(taskOptions, 'name', 'queue', 'payload')],
  [
    `defineTask({ name: 'a', queue: 'q', payload: v.object({}), delivery: 'at-most-once', | })`,
    but(taskOptions, 'name', 'queue', 'payload', 'delivery'),
  ],
  [`defineTask({ name: 'a', backoff: { | } })`, ['delayMs', 'jitter', 'maxDelayMs', 'type']],
  [`defineTask({ name: 'a', backoff: { type: '|' } })`, ['exponential', 'fixed']],
  [`defineTask({ name: 'a', delivery: '|' })`, ['at-least-once', 'at-most-once']],
  [`defineTask({ name: 'a', load: '|' })`, ['on-first-job', 'on-start']],
  [`defineTask({ name: 'a', pool: { | } })`, ['idleTimeoutMs', 'kind', 'maxJobs', 'maxMemoryMb', 'size']],
  [`defineTask({ name: 'a', pool: { kind: '|' } })`, ['process', 'thread']],
  [`defineQueue({ | })`, ['budget', 'bullmq', 'concurrency', 'lockDurationMs', 'name', 'retention', 'stalledCheckMs']],
  [`defineQueue({ name: 'q', retention: { | } })`, ['completedCount', 'completedForMs', 'failedCount', 'failedForMs']],
  [`implement(sendEmail, async (payload) => { payload.| })`, ['copies', 'subject', 'to']],
  [`implement(sendEmail, async ({ | }) => {})`, ['copies', 'subject', 'to']],
  [`implement(sendEmail, async () => ({ | }))`, ['messageId']],
  [`implement(sendEmail, async (_, { | }) => ({ messageId: 1 }))`, context],
  [`implement(charge, async (_, { | }) => {})`, but(context, 'snooze', 'rateLimited')],
  [`implement(sendEmail, async (_, { deps }: TaskContext<Dependencies>) => deps.|)`, ['mailer', 'sender']],
  [`implement(sendEmail, async (_, { deps: { | } }: TaskContext<Dependencies>) => {})`, ['mailer', 'sender']],
  [`implement(sendEmail, async (_, { deps }: TaskContext<Dependencies>) => deps.mailer.|)`, ['close', 'send']],
  [`implement(report, async (_, { enqueue }) => enqueue(sendEmail, { | }))`, ['copies', 'subject', 'to']],
  [`producer.enqueue(sendEmail, { | })`, ['copies', 'subject', 'to']],
  [`producer.enqueue(sendEmail, { to: 'a', | })`, ['copies', 'subject']],
  [`producer.enqueue(sendEmail, { to: 'a', subject: 'b' }, { | })`, enqueueOptions],
  [`producer.enqueue(sendEmail, { to: 'a', subject: 'b' }, { id: 'c', | })`, but(enqueueOptions, 'id')],
  [`producer.enqueue(report, { day: '2026-01-01' }, { | })`, enqueueOptions],
  [`producer.enqueue(sendEmail, { to: 'a', subject: 'b' }, { dedupe: { | } })`, ['key', 'mode', 'ttlMs']],
  [
    `producer.enqueue(sendEmail, { to: 'a', subject: 'b' }, { dedupe: { mode: '|' } })`,
    ['debounce', 'simple', 'throttle'],
  ],
  [`producer.enqueueMany(sendEmail, [{ | }])`, [...enqueueOptions, 'payload'].sort()],
  [`producer.enqueueMany(sendEmail, [{ payload: { | } }])`, ['copies', 'subject', 'to']],
  [
    `const job = await producer.enqueue(sendEmail, { to: 'a', subject: 'b' }); job.|`,
    ['accepted', 'id', 'queue', 'task'],
  ],
  [
    `const job = await producer.enqueue(sendEmail, { to: 'a', subject: 'b' }, { keepResultMs: 5 }); job.|`,
    ['accepted', 'id', 'queue', 'result', 'task'],
  ],
  [`const job = await producer.enqueue(report, { day: 'a' }); (await job.result()).|`, ['pages']],
  // The function may also return a promise of hooks, hence the members of promises.
  [
    `defineHooks(() => ({ | }))`,
    ['aroundJob', 'catch', 'finally', 'onJobFailed', 'onWorkerStart', 'onWorkerStop', 'then'],
  ],
  [`defineHooks(({ | }) => ({}))`, ['config', 'log']],
  [
    `defineHooks(() => ({ aroundJob(job) { job.| } }))`,
    ['attempt', 'enqueuedAt', 'id', 'meta', 'payload', 'queue', 'startedAt', 'task'],
  ],
  [
    `defineHooks(() => ({ onJobFailed: (_, { | }) => {} }))`,
    ['causeCode', 'causeDetail', 'causeMessage', 'causeName', 'causes', 'code', 'stack'],
  ],
  [`runTask(task, { | })`, ['copies', 'subject', 'to']],
  [`runTask(task, { to: 'a', subject: 'b' }, { | })`, ['attempt', 'deps', 'meta', 'signal']],
  [`runTask(task, { to: 'a', subject: 'b' }, { deps: { | } })`, ['mailer', 'sender']],
  [`runTask(task, { to: 'a', subject: 'b' }, { deps: { mailer: { | } } })`, ['close', 'send']],
  [`expectIdempotent(task, { | })`, ['copies', 'subject', 'to']],
  [`expectIdempotent(task, { to: 'a', subject: 'b' }, { | })`, ['deps', 'effects', 'meta']],
  [`expectIdempotent(task, { to: 'a', subject: 'b' }, { deps: () => ({ | }) })`, ['mailer', 'sender']],
])('suggests in %s', async (line, suggested) => {
  expect(await names(line)).toEqual(suggested);
});

test('shows the types of dependencies and payload fields', async () => {
  const line = `implement(sendEmail, async (payload, { deps }: TaskContext<Dependencies>) =>`;
  expect(await editor.complete(`${imports}${line} deps.|)`)).toMatchObject([
    { name: 'mailer', detail: expect.stringContaining('mailer: Mailer') },
    { name: 'sender', detail: expect.stringContaining('sender: string') },
  ]);
  expect((await editor.complete(`${imports}${line} payload.|)`))[0]?.detail).toContain('copies?: number');
});
