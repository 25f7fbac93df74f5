import { setTimeout } from 'node:timers/promises';
import { ErrorCode, type KeepJobs } from 'bullmq';
import type { Redis } from 'ioredis';
import { LockLostError } from '../errors.ts';
import type { Retention } from '../manifest/define-queue.ts';
import type { Failure, Outcome } from './broker.ts';
import { type FetchedJob, toBullmq } from './bullmq-internals.ts';
import { jobFields, keyNames, tokenSeparator } from './bullmq-names.ts';
import type { JobBackend, NextJob } from './job-backend.ts';
import { queueKey, resultKey } from './keys.ts';
import type { Hold, Locks } from './locks.ts';
import { runScript } from './lua.ts';
import { addUnitCrash, memoryFields } from './memory.ts';
import { limitQueue, putBack } from './scripts.ts';

/** What settling needs beside the delivery. */
export interface SettleScope {
  client: Redis;
  backend: JobBackend;
  locks: Locks;
  place: { prefix: string; queue: string };
  /** What is kept of ended jobs, where a job does not say so itself. */
  kept: { readonly completed: KeepJobs; readonly failed: KeepJobs };
  /** Redis refuses to write, or does not answer: the outcome is held and tried again. */
  onTrouble(error: Error): void;
}

interface Settling {
  job: FetchedJob;
  hold: Hold;
  outcome: Outcome;
  /** Whether another job may be fetched with the same command. */
  mayFetch(): boolean;
}

/** The outcome that was written, and what was fetched with it, if that was asked for: perhaps a job, locked for `token`. */
interface SettleReply {
  outcome: Outcome;
  next: NextJob | undefined;
  token: string;
}

/** The wait before an outcome that Redis refused is written again, in milliseconds. */
const writeAgainMs = 1_000;

/** The lock of the job is missing, or another's, or it is not active. */
const notOurs: unknown[] = [ErrorCode.JobLockNotExist, ErrorCode.JobLockMismatch, ErrorCode.JobNotInState];

/** How BullMQ is told what to keep; an age costs it a look at the old ones. */
function toKept(forMs: number, count: number): KeepJobs {
  return count === 0 ? { count } : { age: Math.ceil(forMs / 1_000), count };
}

export function keptOf({ completedForMs, completedCount, failedForMs, failedCount }: Retention): SettleScope['kept'] {
  return { completed: toKept(completedForMs, completedCount), failed: toKept(failedForMs, failedCount) };
}

const nothing: Promise<undefined> = Promise.resolve(undefined);

const codeOf = (error: unknown) => (error as { code?: unknown }).code;

/** What a job of a BullMQ flow ends as that may not complete: its children failed, or have not ended. */
function refused({ id }: FetchedJob, error: unknown): Outcome {
  const causeMessage = `Job "${id}" cannot be completed: ${(error as Error).message}`;
  return { kind: 'failed', failure: { code: 'E_JOB_DEPENDENCIES', causeName: 'Error', causeMessage, stack: '' } };
}

/** Before the job is ended: a crash in between runs it again, the other order would lose its result. */
async function keepResult({ client, place, locks }: SettleScope, hold: Hold, keepMs: number, stored: string) {
  // Waiters are told at once, so it must be ours to tell.
  await claim(locks, hold);
  const key = resultKey(place.prefix, place.queue, hold.jobId);
  await client.set(key, stored, 'PX', keepMs);
  await client.publish(key, stored);
}

function complete(scope: SettleScope, { job, hold, outcome, mayFetch }: Settling): Promise<unknown> {
  if (outcome.kind !== 'completed') return nothing;
  const write = () => scope.backend.complete(job, scope.kept.completed, hold.token, mayFetch());
  const { resultJson, keepResultMs } = outcome;
  if (!keepResultMs) return write();
  const result = resultJson ? `,"result":${resultJson}` : '';
  return keepResult(scope, hold, keepResultMs, `{"ok":true${result}}`).then(write);
}

async function fail(scope: SettleScope, { job, hold, outcome, mayFetch }: Settling): Promise<unknown> {
  if (outcome.kind !== 'failed' && outcome.kind !== 'cancelled') return undefined;
  const { code, causeName, causeMessage, stack }: Failure = outcome.failure;
  if (outcome.keepResultMs) {
    const stored = JSON.stringify({ ok: false, code, causeName, causeMessage });
    await keepResult(scope, hold, outcome.keepResultMs, stored);
  }
  const failedReason = `${code}: ${causeName}: ${causeMessage}`;
  const fields = {
    [jobFields.failedReason]: failedReason,
    [jobFields.stacktrace]: JSON.stringify([stack]),
    [memoryFields.settled]: hold.starts,
  };
  const { result: next } = await scope.backend.moveToFailed(
    toBullmq(job),
    failedReason,
    job.opts.removeOnFail ?? scope.kept.failed,
    hold.token,
    mayFetch(),
    fields,
  );
  return next;
}

/** Later: a retry uses an attempt, a snooze and a postponement do not. */
async function delay(scope: SettleScope, { job, hold, outcome, mayFetch }: Settling): Promise<unknown> {
  if (outcome.kind !== 'retry' && outcome.kind !== 'snoozed' && outcome.kind !== 'postponed') return undefined;
  const { settled, unknownSince, crashes } = memoryFields;
  const fields: Record<string, string | number> = { [settled]: hold.starts };
  if (outcome.kind === 'retry')
    fields[jobFields.failedReason] = `${outcome.failure.code}: ${outcome.failure.causeMessage}`;
  fields[unknownSince] = outcome.kind === 'postponed' ? outcome.unknownSince : '';
  if (hold.cleared) fields[crashes] = '';
  if (outcome.kind === 'retry' && outcome.crashed) {
    const [worker = ''] = hold.token.split(tokenSeparator);
    fields[crashes] = addUnitCrash(hold.cleared ? [] : job.memory.crashes, Date.now(), worker);
  }
  // Without a delay the same command could fetch it again, and a repetition of it would count a second attempt.
  return scope.backend.moveToDelayed(job.id, Date.now(), Math.max(1, outcome.delayMs), hold.token, {
    skipAttempt: outcome.kind !== 'retry',
    fieldsToUpdate: fields,
    fetchNext: mayFetch(),
  });
}

/** To the head of the queue, for whoever comes next. */
async function giveBack({ client, place }: SettleScope, { job, hold, outcome }: Settling): Promise<undefined> {
  const key = (name: string) => queueKey(place.prefix, place.queue, name);
  if (outcome.kind === 'rateLimited') {
    await runScript(client, limitQueue, [key(keyNames.meta), key(keyNames.limiter)], [outcome.delayMs]);
  }
  const counted = outcome.kind === 'released' && outcome.counted;
  const releases = [...job.memory.releases, Date.now()].join(' ');
  const known = job.memory.unknownSince === undefined ? [] : [memoryFields.unknownSince, ''];
  // A job that was stopped did not end by itself: it stays a suspect.
  const cleared = hold.cleared && outcome.kind === 'rateLimited' ? [memoryFields.crashes, ''] : [];
  const fields = [...known, ...cleared, ...(counted ? [memoryFields.releases, releases] : [])];
  const { active, wait, prioritized, marker, events } = keyNames;
  const keys = [job.id, active, wait, prioritized, marker, events].map(key);
  const given = await runScript(client, putBack, keys, [job.id, hold.token, hold.starts, ...fields]);
  // The answer may have been lost and the command sent again: then it is settled already, which is not asked here.
  if (given !== 1) throw Object.assign(new Error('not ours'), { code: ErrorCode.JobLockNotExist });
}

const ways: Record<Outcome['kind'], (scope: SettleScope, settling: Settling) => Promise<unknown>> = {
  completed: complete,
  failed: fail,
  cancelled: fail,
  retry: delay,
  snoozed: delay,
  postponed: delay,
  rateLimited: giveBack,
  released: giveBack,
  lost: async () => undefined,
};

/**
 * Makes sure that a job is ours to settle: its lock may have run out, or it came back to this worker under another one
 * while its end was being written. Returns whether it is; when it was settled already, the answer got lost. Throws
 * `E_LOCK_LOST`.
 */
async function claim(locks: Locks, hold: Hold): Promise<boolean> {
  const state = await locks.takeBack(hold);
  if (state !== 'lost') return state === 'held';
  if (!hold.again) throw new LockLostError(hold.jobId);
  locks.adopt(hold, hold.again);
  hold.again = undefined;
  return true;
}

/**
 * Writes how a delivery ended, and brings the next job if one was fetched with it. It does not give up: an outcome
 * that Redis does not take is held. Throws `E_LOCK_LOST` when another worker has the job: then nothing was written.
 */
export async function settle(scope: SettleScope, settling: Settling): Promise<SettleReply> {
  const { backend, client, locks, onTrouble } = scope;
  const { job, hold } = settling;
  /** Redis refuses: it is asked again later. */
  const waitAfter = async (error: unknown): Promise<true> => {
    if (error instanceof LockLostError) throw error;
    onTrouble(error as Error);
    await setTimeout(writeAgainMs);
    return true;
  };
  for (;;) {
    // The job that is fetched with it is locked with the same token.
    const { token } = hold;
    const sentAt = performance.now();
    const { outcome } = settling;
    try {
      const reply = await ways[outcome.kind](scope, settling);
      return { outcome, token, next: backend.receiveNext(job, reply, token, sentAt) };
    } catch (error) {
      const code = codeOf(error);
      if (client.status === 'end') throw error;
      if (code === ErrorCode.JobNotExist) return { outcome, token, next: undefined };
      if (notOurs.includes(code)) {
        if (!(await claim(locks, hold).catch(waitAfter))) return { outcome, token, next: undefined };
      } else if (typeof code === 'number' && outcome.kind === 'completed') {
        settling.outcome = refused(job, error);
      } else {
        await waitAfter(error);
      }
    }
  }
}
