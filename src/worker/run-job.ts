import type { Delivery, Failure, Outcome } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import { Attempt, type AttemptScope } from './attempt.ts';
import { identify } from './create-context.ts';
import { decide } from './decide.ts';
import type { Ended, JobHooks } from './job-hooks.ts';
import type { LoadableTask } from './load-queue.ts';
import { classify, completed, completedAs } from './outcome.ts';

/** Lets jobs run with no other one beside them. */
export interface Gate {
  /** Resolves with true when the job runs alone in this process, with false when another one already does. */
  enter(delivery: Delivery): Promise<boolean>;
  /** Called once after each `enter` that resolved with true. */
  leave(delivery: Delivery): Promise<void>;
}

/** What jobs of one queue run in. */
export interface RunScope extends AttemptScope {
  gate: Gate;
  hooks?: JobHooks;
}

/** Runs one job to exactly one outcome. It knows no broker and never throws. */
export async function runJob(delivery: Delivery, scope: RunScope): Promise<Outcome> {
  const startedAt = performance.now();
  const decision = decide(delivery, scope.queue.tasks, scope.limits, scope.clock.now());
  if (decision.kind === 'run') {
    const { task, alone } = decision;
    const { outcome } = await (alone ? runAlone(delivery, task, scope) : runInHooks(delivery, task, scope));
    logOutcome(delivery, outcome, performance.now() - startedAt, scope.log);
    return outcome;
  }
  const { outcome } = decision;
  // There may be thousands of them, again and again.
  if (outcome.kind === 'snoozed') logWait(delivery, outcome.delayMs, scope.log);
  else logOutcome(delivery, outcome, performance.now() - startedAt, scope.log);
  return outcome;
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

/** Hooks are outside the attempt: it does not time out by what they take, nor is it given back after its end. */
function runInHooks(delivery: Delivery, task: LoadableTask, scope: RunScope): Promise<Ended> {
  const around = scope.hooks?.around;
  return around
    ? around(delivery, task.manifest, () => endAttempt(delivery, task, scope))
    : endAttempt(delivery, task, scope);
}

async function endAttempt(delivery: Delivery, task: LoadableTask, scope: RunScope): Promise<Ended> {
  const { manifest, pool } = task;
  const attempt = new Attempt(delivery, manifest, scope);
  try {
    const outcome = pool
      ? completedAs(delivery, manifest, await attempt.runInPool(pool))
      : completed(delivery, manifest, await attempt.run(task));
    return { outcome, error: delivery.abort.reason };
  } catch (error) {
    return { outcome: classify(delivery, manifest, error, attempt), error };
  } finally {
    const closing = attempt.close();
    if (closing) await closing;
    if (attempt.started) scope.onEnded?.();
  }
}

function logWait(delivery: Delivery, delayMs: number, log: Log): void {
  log.debug({ ...identify(delivery), delayMs }, 'Its pool is full: the job waits in Redis');
}

function logOutcome(delivery: Delivery, outcome: Outcome, durationMs: number, log: Log): void {
  const { queue, task, jobId, attempt } = delivery;
  const fields = { queue, task, jobId, attempt, durationMs: Math.round(durationMs), outcome: outcome.kind };
  log.info('failure' in outcome ? { ...fields, ...describeFailure(outcome.failure) } : fields, 'Job finished');
}

function describeFailure({ code, causeName, causeMessage }: Failure): { code: string; error: string } {
  return { code, error: `${causeName}: ${causeMessage}` };
}
