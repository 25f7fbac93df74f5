import type { Delivery, Outcome } from '../broker/broker.ts';
import { tellCause } from '../errors.ts';
import { Attempt, type RunScope } from './attempt.ts';
import { type Decision, decide } from './decide.ts';
import { hearThrown } from './describe-error.ts';
import { identify } from './job-context.ts';
import type { Ended } from './job-hooks.ts';
import type { LoadableTask } from './load-queue.ts';
import { classify, completed, failedInside, toResultJson } from './outcome.ts';

/** Runs one job to exactly one outcome. It knows no broker and never throws. */
export async function runJob(delivery: Delivery, scope: RunScope): Promise<Outcome> {
  const startedAt = performance.now();
  let outcome: Outcome;
  try {
    const decision = decide(delivery, scope.queue.tasks, scope.limits, scope.clock.now());
    if (decision.kind === 'wait') return putOff(delivery, decision.delayMs, scope);
    outcome = decision.kind === 'run' ? (await run(delivery, decision, scope)).outcome : decision;
  } catch (error) {
    outcome = failedInside(delivery, scope.queue.tasks.get(delivery.task)?.manifest, error, scope);
  }
  try {
    if (outcome.kind === 'postponed') scope.onPostponed?.(delivery);
    logOutcome(delivery, outcome, performance.now() - startedAt, scope);
  } catch {
    // The job's end stays as it is, also if no line can tell it.
  }
  return outcome;
}

function run(delivery: Delivery, { task, alone }: Extract<Decision, { kind: 'run' }>, scope: RunScope): Promise<Ended> {
  return alone ? runAlone(delivery, task, scope) : runInHooks(delivery, task, scope);
}

async function runAlone(delivery: Delivery, task: LoadableTask, scope: RunScope): Promise<Ended> {
  const { gate } = scope;
  if (!(await gate.enter(delivery))) return { outcome: { kind: 'released', counted: false } };
  try {
    return await runInHooks(delivery, task, scope);
  } finally {
    await gate.leave(delivery);
  }
}

/** Runs an attempt inside the hooks: what they take counts to no time-out, and no job is given back while they end. */
function runInHooks(delivery: Delivery, task: LoadableTask, scope: RunScope): Promise<Ended> {
  const around = scope.hooks?.around;
  return around
    ? around(delivery, task.manifest, () => runAttempt(delivery, task, scope))
    : runAttempt(delivery, task, scope);
}

async function runAttempt(delivery: Delivery, task: LoadableTask, scope: RunScope): Promise<Ended> {
  const { manifest, pool } = task;
  const attempt = new Attempt(delivery, manifest, scope);
  try {
    const json = pool ? await pool.run(attempt) : toResultJson(manifest, await attempt.run(task));
    return { outcome: completed(delivery, manifest, json), error: delivery.abort.reason };
  } catch (error) {
    hearThrown(error);
    return { outcome: classify(delivery, manifest, error, attempt.started, scope), error };
  } finally {
    const closing = attempt.close();
    if (closing) await closing;
    if (attempt.started) scope.onEnded?.();
  }
}

/** Leaves a job whose pool is full in Redis. The line is for debugging, since thousands may wait, again and again. */
function putOff(delivery: Delivery, delayMs: number, { log }: RunScope): Outcome {
  log.debug({ ...identify(delivery), delayMs }, 'Its pool is full: the job waits in Redis');
  return { kind: 'snoozed', delayMs };
}

function logOutcome(delivery: Delivery, outcome: Outcome, durationMs: number, { log }: RunScope) {
  const { queue, task, jobId, attempt } = delivery;
  const fields = { queue, task, jobId, attempt, durationMs: Math.round(durationMs), outcome: outcome.kind };
  if (!('failure' in outcome)) return log.info(fields, 'Job finished');
  const { code, causeName, causeMessage, causeCode, causeDetail, causes, stack } = outcome.failure;
  const error = `${causeName}: ${causeMessage}`;
  const told = { ...fields, code, error, causeCode, causeDetail, causes: causes?.map(tellCause) };
  if (code === 'E_INTERNAL') log.error({ ...told, stack }, 'Job finished');
  else log.info(told, 'Job finished');
}
