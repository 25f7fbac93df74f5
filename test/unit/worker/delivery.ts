import * as v from 'valibot';
import type { Delivery, JobMemory } from '../../../src/broker/broker.ts';
import { JobAbort } from '../../../src/job-abort.ts';
import { defineTask } from '../../../src/manifest/define-task.ts';
import { noMeta } from '../../../src/manifest/meta.ts';

/** A task that is at-least-once. */
export const sendEmail = defineTask({
  name: 'send-email',
  queue: 'mail',
  payload: v.object({ to: v.string(), token: v.optional(v.string()) }),
  attempts: 3,
  redact: ['token'],
  backoff: { delayMs: 1_000, maxDelayMs: 5_000, jitter: 0 },
});

export const payOut = defineTask({
  name: 'pay-out',
  queue: 'mail',
  payload: v.object({ to: v.string() }),
  delivery: 'at-most-once',
});

type Given = Partial<Omit<Delivery, 'memory'>> & { memory?: Partial<JobMemory> };

/** Makes a delivery of a job "j" of send-email. */
export function deliver({ memory, ...given }: Given = {}): Delivery {
  return {
    queue: 'mail',
    task: 'send-email',
    jobId: 'j',
    input: { to: 'a@b' },
    version: 1,
    attempt: 1,
    enqueuedAt: 0,
    startedAt: 0,
    meta: noMeta,
    keepResultMs: undefined,
    abort: new JobAbort(),
    reportProgress: async () => {},
    markStarted: async () => true,
    ...given,
    memory: {
      started: undefined,
      releases: [],
      crashes: [],
      cancel: undefined,
      unknownSince: undefined,
      unsettled: 0,
      ...memory,
    },
  };
}
