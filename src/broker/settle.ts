import { type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Failure, Outcome } from './broker.ts';
import { resultKey } from './keys.ts';

/** What a waiter finds under a job's result key. */
export type StoredResult =
  | { ok: true; result?: unknown }
  | { ok: false; code: string; causeName: string; causeMessage: string };

function toError(failure: Failure, make: (message: string) => Error): Error {
  const error = make(`${failure.code}: ${failure.causeName}: ${failure.causeMessage}`);
  error.stack = failure.stack;
  return error;
}

async function keep(client: Redis, key: string, keepMs: number, stored: string): Promise<void> {
  // A refused SET (a full Redis) must not complete the job: it is delivered again.
  await client.set(key, stored, 'PX', keepMs);
  await client.publish(key, stored);
}

/** The wait after a delivery that could not even be settled. */
const unsettledDelayMs = 1_000;

/**
 * Overrules what a producer stored, in memory only: the policy in force is the worker's manifest. BullMQ itself would
 * fail a job for good on the first error that comes between the task and its outcome.
 */
export function expectRetries(job: Job): void {
  job.opts.attempts = Number.MAX_SAFE_INTEGER;
  job.opts.backoff = { type: 'fixed', delay: unsettledDelayMs };
}

/** Ends a delivery in BullMQ's terms: returns for completed, throws BullMQ's markers for the rest. */
export async function settle(
  job: Job,
  token: string,
  outcome: Outcome,
  client: Redis,
  place: { prefix: string; queue: string },
) {
  const key = resultKey(place.prefix, place.queue, job.id ?? '');
  switch (outcome.kind) {
    case 'completed':
      // Before the job is completed: a crash in between runs it again, the other order would lose its result.
      if (outcome.keepResultMs) {
        await keep(
          client,
          key,
          outcome.keepResultMs,
          `{"ok":true${outcome.resultJson ? `,"result":${outcome.resultJson}` : ''}}`,
        );
      }
      return null;
    case 'retry':
      job.opts.backoff = { type: 'fixed', delay: outcome.delayMs };
      throw toError(outcome.failure, (message) => new Error(message));
    case 'failed': {
      const { code, causeName, causeMessage } = outcome.failure;
      if (outcome.keepResultMs) {
        await keep(client, key, outcome.keepResultMs, JSON.stringify({ ok: false, code, causeName, causeMessage }));
      }
      throw toError(outcome.failure, (message) => new UnrecoverableError(message));
    }
    case 'released':
      await job.moveToWait(token);
      throw new WaitingError();
    case 'lost':
      throw new UnrecoverableError('the lock was lost');
  }
}
