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
  await client.pipeline().set(key, stored, 'PX', keepMs).publish(key, stored).exec();
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
      // The policy in force is the worker's manifest: what a producer stored is overruled, in memory only.
      job.opts.attempts = Number.MAX_SAFE_INTEGER;
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
