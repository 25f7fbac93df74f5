import * as v from 'valibot';
import { expect, test } from 'vitest';
import { toDeduplication } from '../../../src/broker/job-options.ts';
import { defineTask } from '../../../src/manifest/define-task.ts';
import type { EnqueueOptions } from '../../../src/producer/enqueue-options.ts';
import { prepareJob } from '../../../src/producer/prepare-job.ts';

const task = defineTask({ name: 'send-email', queue: 'mail', payload: v.object({}) });
const prepare = (options: object) => prepareJob(task, {}, options as EnqueueOptions);
const key = 'user:1';

test.each<[object, string]>([
  [{ dedupe: 'a' }, 'An option of enqueue does not parse: `dedupe`: expected an object { key, mode, ttlMs }, got "a".'],
  [{ dedupe: { key, mode: 'simple', ttl: 5 } }, 'An option of dedupe does not parse: it has no option `ttl`.'],
  [{ dedupe: { key: 'a b', mode: 'simple' } }, '`key`: expected a string of 1 to 200 characters without white space'],
  [{ dedupe: { key: 'x'.repeat(201), mode: 'simple' } }, '`key`: expected a string of 1 to 200 characters'],
  [{ dedupe: { key: '', mode: 'simple' } }, '`key`: expected a string of 1 to 200 characters'],
  [{ dedupe: { key, mode: 'once' } }, '`mode`: expected one of "simple", "throttle", "debounce", got "once".'],
  [{ dedupe: { key, mode: 'throttle', ttlMs: 0 } }, '`ttlMs`: expected an integer from 1 to 315360000000, got 0.'],
  [{ dedupe: { mode: 'simple' } }, '`dedupe.key` is missing: jobs with the same key are one job.'],
  [{ dedupe: { key } }, '`dedupe.mode` is missing: one of "simple", "throttle", "debounce".'],
  [{ dedupe: { key, mode: 'simple' }, id: 'a' }, '`dedupe` and `id` exclude each other'],
  [{ dedupe: { key, mode: 'simple' }, idempotencyMs: 5 }, '`dedupe` and `idempotencyMs` exclude each other'],
  [{ dedupe: { key, mode: 'simple', ttlMs: 5 } }, 'Dedupe mode "simple" takes no `dedupe.ttlMs`, got 5'],
  [{ dedupe: { key, mode: 'throttle' } }, 'Dedupe mode "throttle" needs `dedupe.ttlMs`'],
  [{ dedupe: { key, mode: 'debounce' }, delayMs: 5 }, 'Dedupe mode "debounce" needs `dedupe.ttlMs`'],
  [{ dedupe: { key, mode: 'debounce', ttlMs: 5 } }, 'Dedupe mode "debounce" needs `delayMs`'],
  [{ dedupe: { key, mode: 'debounce', ttlMs: 5 }, delayMs: 6 }, '`dedupe.ttlMs` 5 is below `delayMs` 6'],
])('refuses %j', async (options, said) => {
  const error = await prepare(options).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'E_ENQUEUE_OPTIONS_INVALID' });
  expect(error.message).toContain(said);
  expect(error.message).toMatch(/Nothing was enqueued for task "send-email"\.$/);
});

test.each<[object, object]>([
  [{ id: 'a' }, { id: 'a', ttl: 86_400_000 }],
  [
    { id: 'a', idempotencyMs: 7 },
    { id: 'a', ttl: 7 },
  ],
  [{ dedupe: { key, mode: 'simple' } }, { id: 'send-email:user:1' }],
  [{ dedupe: { key, mode: 'throttle', ttlMs: 7 } }, { id: 'send-email:user:1', ttl: 7 }],
  [
    { dedupe: { key, mode: 'debounce', ttlMs: 7 }, delayMs: 7 },
    { id: 'send-email:user:1', ttl: 7, extend: true, replace: true },
  ],
])('maps %j onto the key of BullMQ', async (options, deduplication) => {
  expect(toDeduplication(await prepare(options))).toEqual(deduplication);
});

test('lets a generated id stand for its job for 5 minutes', async () => {
  const job = await prepare({});
  expect(toDeduplication(job)).toEqual({ id: job.id, ttl: 300_000 });
});
