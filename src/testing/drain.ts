import type { Broker, Delivery, Outcome } from '../broker/broker.ts';
import { IsletError, TaskFailedError } from '../errors.ts';
import { defineQueue } from '../manifest/define-queue.ts';
import { startWorker, type WorkerOptions } from '../worker/worker.ts';
import type { MemoryBroker } from './memory-broker.ts';
import type { TestClock } from './test-clock.ts';

/** How one delivery of a job ended. */
export type JobRun = {
  readonly id: string;
  readonly task: string;
  readonly payload: unknown;
  readonly attempt: number;
} & (
  | { readonly kind: 'completed'; readonly result: unknown }
  | { readonly kind: 'retry'; readonly error: TaskFailedError; readonly delayMs: number }
  | { readonly kind: 'failed' | 'cancelled'; readonly error: TaskFailedError }
  | { readonly kind: 'snoozed' | 'rateLimited'; readonly delayMs: number }
);

export interface DrainOptions {
  /** Also runs jobs that are delayed: the clock jumps to each, also through retries. Default: false. */
  delayed?: boolean;
  /** How many jobs run at once. Default: 1, so that they run in their order. */
  concurrency?: number;
  /** Jobs that make jobs may never end: throws `E_DRAIN_ENDLESS` after so many runs. Default: 10_000. */
  maxRuns?: number;
}

const defaultMaxRuns = 10_000;

function unknownTask({ task, queue }: Delivery): IsletError {
  const seen = `Task "${task}" has a job in queue "${queue}", but was not given to createTestApp.`;
  return new IsletError('E_TASK_UNKNOWN', `${seen} Add it to \`tasks\`.`);
}

function toRun({ jobId: id, task, input, attempt }: Delivery, outcome: Outcome): JobRun | undefined {
  const run = { id, task, payload: input, attempt };
  switch (outcome.kind) {
    case 'completed': {
      const { kind, resultJson } = outcome;
      return { ...run, kind, result: resultJson === undefined ? undefined : JSON.parse(resultJson) };
    }
    case 'retry':
      return { ...run, kind: 'retry', error: new TaskFailedError(id, outcome.failure), delayMs: outcome.delayMs };
    case 'failed':
    case 'cancelled':
      return { ...run, kind: outcome.kind, error: new TaskFailedError(id, outcome.failure) };
    case 'snoozed':
    case 'rateLimited':
      return { ...run, kind: outcome.kind, delayMs: outcome.delayMs };
    default:
      return undefined;
  }
}

interface Place {
  broker: MemoryBroker;
  clock: TestClock;
  name: string;
  scope: WorkerOptions['scope'];
}

/** A broker that tells how each delivery ends. */
function watchRuns(broker: MemoryBroker, onRun: (delivery: Delivery, outcome: Outcome) => void): Broker {
  return {
    ...broker,
    consume: (options) =>
      broker.consume({
        ...options,
        async run(delivery) {
          const outcome = await options.run(delivery);
          onRun(delivery, outcome);
          return outcome;
        },
      }),
  };
}

/** Moves the clock to whatever may start next, until nothing is left. */
async function runDelayed(broker: MemoryBroker, clock: TestClock, queue: string): Promise<void> {
  for (;;) {
    await broker.whenQuiet(queue);
    const { nextAt } = broker.queue(queue);
    if (nextAt === undefined) return;
    await clock.advance(Math.max(0, nextAt - clock.now()));
  }
}

/** Lets a queue's worker run until there is nothing to do, and tells what it did. */
export async function drainQueue({ broker, clock, name, scope }: Place, options: DrainOptions): Promise<JobRun[]> {
  const { delayed = false, concurrency = 1, maxRuns = defaultMaxRuns } = options;
  const runs: JobRun[] = [];
  let giveUp = (_: IsletError) => {};
  const gaveUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  const watched = watchRuns(broker, (delivery, outcome) => {
    if (outcome.kind === 'postponed') return giveUp(unknownTask(delivery));
    const run = toRun(delivery, outcome);
    if (run) runs.push(run);
    if (runs.length <= maxRuns) return;
    const seen = `Queue "${name}" was not empty after ${maxRuns} runs; the last was of task "${delivery.task}".`;
    giveUp(new IsletError('E_DRAIN_ENDLESS', `${seen} Does it enqueue itself? Raise \`maxRuns\` if not.`));
  });
  const worker = await startWorker(watched, {
    queue: defineQueue({ name }),
    ...{ concurrency, scope },
    onUnhealthy: giveUp,
  });
  try {
    await Promise.race([delayed ? runDelayed(broker, clock, name) : broker.whenQuiet(name), gaveUp]);
    await worker.close();
    return runs;
  } catch (error) {
    worker.drain();
    worker.abort();
    // What ignores its signal goes by a clock that nobody moves.
    void worker.close();
    throw error;
  }
}
