import { setTimeout } from 'node:timers/promises';
import { ErrorCode, type KeepJobs } from 'bullmq';
import { IsletError, LockLostError, tellFailure } from '../errors.ts';
import { mostUnsettled } from '../unsettled.ts';
import type { Failure, Outcome } from './broker.ts';
import { type FetchedJob, toBullmq } from './bullmq-internals.ts';
import { jobFields, tokenSeparator } from './bullmq-names.ts';
import { buryJob, buryUnreadable, corrupt, isOwnFault, isScriptFault } from './faults.ts';
import { factsOf } from './kept-result.ts';
import type { Hold, Locks } from './locks.ts';
import { addUnitCrash, memoryFields } from './memory.ts';
import type { Delivered } from './queue-worker.ts';
import { readJson } from './read-stored.ts';
import { limitQueue, putBack } from './scripts.ts';
import type { WorkerScope } from './worker-scope.ts';

interface Ending {
  job: FetchedJob;
  hold: Hold;
  outcome: Outcome;
  /** Tells whether another job may be fetched with the same command. */
  mayFetch(): boolean;
}

type OutcomeOf<Kind extends Outcome['kind']> = Extract<Outcome, { kind: Kind }>;

/** The wait before an outcome that Redis refused is written again, in milliseconds. */
const writeAgainMs = 1_000;

/** How many characters of a failure stand in the failed reason of a job. */
const mostReason = 8_000;

/** How many stacks stand in a job that failed again and again. */
const mostStacks = 5;

/** The job's lock is missing, or another worker's, or the job is not active. */
const notOurs: unknown[] = [ErrorCode.JobLockNotExist, ErrorCode.JobLockMismatch, ErrorCode.JobNotInState];

/**
 * Writes a retention as BullMQ's option, in which -1 keeps all jobs. Where no job is kept it has no age, because with an
 * age BullMQ looks through the old jobs.
 */
function toKept(forMs: number, count: number): KeepJobs {
  const kept = { count: Number.isFinite(count) ? count : -1 };
  return count === 0 || !Number.isFinite(forMs) ? kept : { ...kept, age: Math.ceil(forMs / 1_000) };
}

/** Makes the outcome of a job that is not run, or may not complete, whatever its code would do. */
export function failUnrun(code: string, causeMessage: string, keepResultMs: number | undefined): OutcomeOf<'failed'> {
  return { kind: 'failed', failure: { code, causeName: 'Error', causeMessage, stack: '' }, keepResultMs };
}

/** Its length is bounded because each failed job has one, and an event, too. */
const toFailedReason = (failure: Failure) => `${failure.code}: ${tellFailure(failure)}`.slice(0, mostReason);

/** Adds a stack to those of the attempts before, and returns the last of them as BullMQ's JSON. */
function addStack({ stacktrace, opts }: FetchedJob, stack: string): string {
  const { value } = readJson<unknown>(stacktrace, []);
  const before = Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
  const most = Math.min(mostStacks, opts.stackTraceLimit ?? mostStacks);
  return JSON.stringify(most > 0 ? [...before, ...(stack === '' ? [] : [stack])].slice(-most) : []);
}

/** Describes why the end of a job could not be written: by its hash, or by Islet's own code. */
function toFault(jobId: string, error: Error): Failure {
  if (!isOwnFault(error)) return corrupt(jobId, `Redis cannot write its end ("${error.message}")`, true);
  const { name, message, stack = '' } = error;
  const seen = `Islet itself failed to write the end of job "${jobId}": ${name}: ${message}`;
  return { code: 'E_INTERNAL', causeName: name, causeMessage: seen, stack };
}

export class Settler {
  readonly #scope: WorkerScope;
  readonly #locks: Locks;
  /** The retention of ended jobs whose own options say nothing. */
  readonly #kept: { readonly completed: KeepJobs; readonly failed: KeepJobs };

  constructor(scope: WorkerScope, locks: Locks) {
    const { completedForMs, completedCount, failedForMs, failedCount } = scope.options.queue.retention;
    this.#scope = scope;
    this.#locks = locks;
    this.#kept = { completed: toKept(completedForMs, completedCount), failed: toKept(failedForMs, failedCount) };
  }

  /**
   * Writes how a delivery ended, and brings the next job if one was fetched with it. It does not give up: an outcome
   * that Redis does not take is held. Throws `E_LOCK_LOST` when another worker has the job: then nothing was written.
   */
  async settle(ending: Ending): Promise<Delivered> {
    const { backend, queue, onTrouble } = this.#scope;
    const { job, hold } = ending;
    let isDoubtful = false;
    for (;;) {
      const { outcome } = ending;
      try {
        if (isDoubtful && !(await this.#claim(hold))) return { outcome, token: hold.token };
        isDoubtful = false;
        // The job that is fetched with it is locked with the same token.
        const { token } = hold;
        const sentAt = performance.now();
        const reply = await this.#write(ending);
        return { outcome, token, next: backend.receiveNext(job, reply, token, sentAt) };
      } catch (error) {
        const { code } = error as { code?: unknown };
        if (queue.client.status === 'end' || error instanceof LockLostError) throw error;
        if (code === ErrorCode.JobNotExist) return { outcome, token: hold.token };
        if (notOurs.includes(code)) isDoubtful = true;
        else if (typeof code === 'number' && outcome.kind === 'completed') {
          // A job of a BullMQ flow may not complete: its children failed, or have not ended.
          const seen = `Job "${job.id}" cannot be completed: ${(error as Error).message}`;
          ending.outcome = failUnrun('E_JOB_DEPENDENCIES', seen, outcome.keepResultMs);
        } else if (typeof code === 'number' || isScriptFault(error) || isOwnFault(error)) {
          return await this.#settleOddly(ending, error as Error);
        } else {
          onTrouble(error);
          await setTimeout(writeAgainMs);
        }
      }
    }
  }

  /** Ends a job that cannot be written, or beside which another one cannot be fetched. Throws when that fails, too. */
  async #settleOddly({ job, hold, outcome }: Ending, error: Error): Promise<Delivered> {
    const { queue, onTrouble } = this.#scope;
    const { token, starts } = hold;
    const unreadable = isOwnFault(error) ? [] : await buryUnreadable(queue, token, job.id);
    for (const each of unreadable) onTrouble(each);
    // The script had ended the job before it came to the next one.
    if (unreadable.length > 0) return { outcome, token };
    const failure = 'failure' in outcome && outcome.kind !== 'retry' ? outcome.failure : toFault(job.id, error);
    const failedReason = toFailedReason(failure);
    const isOurs = await buryJob(queue, { jobId: job.id, token, starts, failedReason, stack: failure.stack });
    if (!isOurs) throw new LockLostError(job.id);
    onTrouble(isOwnFault(error) ? error : new IsletError(failure.code, failure.causeMessage));
    return { outcome: { kind: 'failed', failure }, token };
  }

  /** Gives a job back whose delivery could not be ended, and counts that. Never rejects. */
  async giveUp(job: FetchedJob, hold: Hold): Promise<void> {
    const { queue, onTrouble } = this.#scope;
    const { unsettled } = job.memory;
    // Put back, it would come at once, again and again: it comes when its lock has run out.
    if (unsettled >= mostUnsettled) return;
    const fields = [memoryFields.unsettled, unsettled + 1];
    await queue.run(putBack, [job.id, hold.token, hold.starts, ...fields], job.id).catch(onTrouble);
  }

  /** Makes sure that the job is ours. Returns false when only the answer to its end was lost. Throws `E_LOCK_LOST`. */
  async #claim(hold: Hold): Promise<boolean> {
    const state = await this.#locks.takeBack(hold);
    if (state !== 'lost') return state === 'held';
    if (!hold.again) throw new LockLostError(hold.jobId);
    this.#locks.adopt(hold, hold.again);
    hold.again = undefined;
    return true;
  }

  #write(ending: Ending): Promise<unknown> {
    const { outcome } = ending;
    if (outcome.kind === 'completed') return this.#complete(ending, outcome);
    if (outcome.kind === 'failed' || outcome.kind === 'cancelled') return this.#fail(ending, outcome);
    if (outcome.kind === 'rateLimited' || outcome.kind === 'released') return this.#giveBack(ending, outcome);
    return outcome.kind === 'lost' ? Promise.resolve() : this.#delay(ending, outcome);
  }

  #complete({ job, hold, mayFetch }: Ending, outcome: OutcomeOf<'completed'>): Promise<unknown> {
    const { backend } = this.#scope;
    const { token } = hold;
    const { resultJson, keepResultMs: keepMs } = outcome;
    const fetchNext = mayFetch();
    const returnJson = outcome.isShown ? resultJson : undefined;
    if (!keepMs) return backend.complete(job, this.#kept.completed, token, fetchNext, returnJson);
    const endedAt = this.#scope.queue.clock.now();
    const facts = JSON.stringify({ ok: true, ...factsOf(job, endedAt) });
    const stored = resultJson ? `${facts.slice(0, -1)},"result":${resultJson}}` : facts;
    const keep = job.opts.removeOnComplete ?? this.#kept.completed;
    return backend.endWithResult(job, { token, fetchNext, keep, resultJson: stored, keepMs, endedAt, returnJson });
  }

  async #fail({ job, hold, mayFetch }: Ending, outcome: OutcomeOf<'failed' | 'cancelled'>): Promise<unknown> {
    const { backend } = this.#scope;
    const { token } = hold;
    const { stack, ...failure } = outcome.failure;
    const failedReason = toFailedReason(outcome.failure);
    const fields = {
      [jobFields.failedReason]: failedReason,
      [jobFields.stacktrace]: addStack(job, stack),
      [memoryFields.settled]: hold.starts,
    };
    const isUnrun = outcome.kind === 'failed' && outcome.unrun;
    const keep = (isUnrun ? undefined : job.opts.removeOnFail) ?? this.#kept.failed;
    const fetchNext = mayFetch();
    const { keepResultMs: keepMs } = outcome;
    if (keepMs) {
      const endedAt = this.#scope.queue.clock.now();
      const resultJson = JSON.stringify({ ok: false, ...failure, ...factsOf(job, endedAt) });
      return backend.endWithResult(job, { token, fetchNext, keep, resultJson, keepMs, endedAt, failedReason, fields });
    }
    const sent = await backend.moveToFailed(toBullmq(job), failedReason, keep, token, fetchNext, fields);
    return sent.result;
  }

  /** Delays a job: a retry uses an attempt, a snooze and a postponement do not. */
  #delay({ job, hold, mayFetch }: Ending, outcome: OutcomeOf<'retry' | 'snoozed' | 'postponed'>): Promise<unknown> {
    const { settled, unknownSince, crashes } = memoryFields;
    const fields: Record<string, string | number> = {
      [settled]: hold.starts,
      [unknownSince]: outcome.kind === 'postponed' ? outcome.unknownSince : '',
    };
    if (hold.cleared) fields[crashes] = '';
    if (outcome.kind === 'retry') {
      fields[jobFields.failedReason] = toFailedReason(outcome.failure);
      fields[jobFields.stacktrace] = addStack(job, outcome.failure.stack);
      const [worker = ''] = hold.token.split(tokenSeparator);
      const before = hold.cleared ? [] : job.memory.crashes;
      if (outcome.crashed) fields[crashes] = addUnitCrash(before, this.#scope.queue.clock.now(), worker);
    }
    // Without a delay the same command could fetch the job again, and count a second attempt when it is repeated.
    const { backend, queue } = this.#scope;
    return backend.moveToDelayed(job.id, queue.clock.now(), Math.max(1, outcome.delayMs), hold.token, {
      skipAttempt: outcome.kind !== 'retry',
      fieldsToUpdate: fields,
      fetchNext: mayFetch(),
    });
  }

  /** Puts a job at the head of the queue, for whoever comes next. */
  async #giveBack({ job, hold }: Ending, outcome: OutcomeOf<'rateLimited' | 'released'>): Promise<undefined> {
    const { queue } = this.#scope;
    const fields = job.memory.unknownSince === undefined ? [] : [memoryFields.unknownSince, ''];
    if (outcome.kind === 'rateLimited') {
      await queue.run(limitQueue, [outcome.delayMs]);
      // A job that is released did not end by itself: it stays a suspect.
      if (hold.cleared) fields.push(memoryFields.crashes, '');
    } else if (outcome.counted) {
      fields.push(memoryFields.releases, [...job.memory.releases, queue.clock.now()].join(' '));
    }
    const given = await queue.run(putBack, [job.id, hold.token, hold.starts, ...fields], job.id);
    // The answer to an earlier try may have been lost, and the job may be settled already: `settle` catches this and
    // asks Redis.
    if (given !== 1) throw Object.assign(new Error('not ours'), { code: ErrorCode.JobLockNotExist });
  }
}
