import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Broker, Delivery, Outcome } from '../broker/broker.ts';
import { IsletError, TaskFailedError } from '../errors.ts';
import { defineQueue } from '../manifest/define-queue.ts';
import { Worker, type WorkerOptions } from '../worker/worker.ts';
import type { MemoryBroker } from './memory-broker.ts';
import { watchRealWork } from './real-work.ts';
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
  /**
   * Also runs jobs that are delayed, snoozed or to be retried: the clock jumps to each. When nothing has happened in a
   * running job for 0.25 s of real time (3 s while a file, a socket, a process or a real timer is in use), the clock moves
   * on beside it, so that a job that hangs meets its time-out. Default: false; such jobs stay.
   */
  delayed?: boolean;
  /**
   * How many jobs run at once: an integer from 1 to 10_000, else `E_TEST_INVALID`. The queue's own concurrency does not
   * count here. Default: 1, so that jobs run in their order.
   */
  concurrency?: number;
  /**
   * How many runs a drain may have, retries and snoozes included: an integer from 1, else `E_TEST_INVALID`. Jobs that
   * make jobs may never end: with one run more it throws `E_DRAIN_ENDLESS`, and the running jobs are aborted.
   * Default: 10_000, of which 1_000 may be snoozes of one job.
   */
  maxRuns?: number;
}

const defaultMaxRuns = 10_000;
/** How often one job may snooze by default: few enough that the error comes before a test runner's time-out. */
const defaultMaxSnoozes = 1_000;

/**
 * How long a drain waits for a job in which nothing happens: so many turns of the event loop, then so many looks, 250 ms in
 * all. A job that may wait for something real gets 3 s, since its time-out must not come before that.
 */
const patience = { turns: 20, looks: 50, realLooks: 600, lookMs: 5 };

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

interface TestQueue {
  broker: MemoryBroker;
  clock: TestClock;
  name: string;
  scope: WorkerOptions['scope'];
}

/** Hears what happens in a drain: jobs that start, are aborted, and end. */
interface Watch {
  onEvent(): void;
  onRun(delivery: Delivery, outcome: Outcome): void;
}

/** Wraps a broker so that it tells what becomes of each delivery. */
function watchRuns(broker: MemoryBroker, { onEvent, onRun }: Watch): Broker {
  return {
    ...broker,
    consume: (options) =>
      broker.consume({
        ...options,
        async run(delivery) {
          onEvent();
          delivery.abort.signal.addEventListener('abort', onEvent);
          const outcome = await options.run(delivery);
          onEvent();
          onRun(delivery, outcome);
          return outcome;
        },
      }),
  };
}

/** Tells how far a drain is. */
interface Progress {
  /** Counts what has happened in the drain's jobs. */
  events(): number;
  hasRealWork(): boolean;
  /** Aborts when the drain has failed. */
  stop: AbortSignal;
}

/** Waits for the queue to be quiet. Returns false when jobs run in which nothing happens: they may wait for a timer. */
async function isQuiet(quiet: Promise<void>, { events, hasRealWork, stop }: Progress): Promise<boolean> {
  let over = false;
  void quiet.then(() => {
    over = true;
  });
  const { turns, looks, realLooks, lookMs } = patience;
  let before = events();
  // Looking for real work costs more than a run, so only jobs that take long are asked.
  const most = (look: number) => turns + (look >= turns && hasRealWork() ? realLooks : looks);
  for (let look = 0; look < most(look) && !stop.aborted; look += 1) {
    await (look < turns ? nextTurn() : sleep(lookMs));
    if (over) return true;
    if (events() !== before) look = 0;
    before = events();
  }
  return over;
}

/** Moves the clock to whatever may start next, until nothing is left or the drain is stopped. */
async function runDelayed({ broker, clock, name }: TestQueue, progress: Progress): Promise<void> {
  const moveTo = (at: number) => clock.advance(Math.max(0, at - clock.now()));
  while (!progress.stop.aborted) {
    const quiet = await isQuiet(broker.whenQuiet(name), progress);
    if (progress.stop.aborted) return;
    const { nextAt } = broker.queue(name);
    if (quiet && nextAt === undefined) return;
    if (quiet) await moveTo(nextAt ?? 0);
    else await moveUntilEvent(clock, moveTo, progress.events);
  }
}

/** Moves the clock from timer to timer until something happens in a job, at the latest its time-out. */
async function moveUntilEvent(clock: TestClock, moveTo: (at: number) => Promise<void>, events: () => number) {
  const before = events();
  for (let at = clock.nextAt; at !== undefined && events() === before; at = clock.nextAt) await moveTo(at);
}

function endless(queue: string, runs: number, { task }: Delivery, { kind }: Outcome): IsletError {
  const seen = `Queue "${queue}" was not empty after ${runs} runs; the last was of task "${task}"`;
  const snoozed =
    ', which snoozed its job again. Does it go by `Date.now()`, which the test does not move? Give it a clock among its ' +
    'dependencies.';
  const why = kind === 'snoozed' ? snoozed : '. Does it enqueue itself?';
  return new IsletError('E_DRAIN_ENDLESS', `${seen}${why} Raise \`maxRuns\` if not.`);
}

/** Lets a queue's worker run until there is nothing to do, and returns what it did. */
export async function drainQueue(testQueue: TestQueue, options: DrainOptions): Promise<JobRun[]> {
  const { broker, name, scope } = testQueue;
  const { delayed = false, concurrency = 1, maxRuns = defaultMaxRuns } = options;
  const maxSnoozes = options.maxRuns ?? defaultMaxSnoozes;
  const runs: JobRun[] = [];
  const snoozes = new Map<string, number>();
  let events = 0;
  let giveUp = (_: IsletError) => {};
  const gaveUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  const watched = watchRuns(broker, {
    onEvent: () => {
      events += 1;
    },
    onRun(delivery, outcome) {
      if (outcome.kind === 'postponed') return giveUp(unknownTask(delivery));
      const run = toRun(delivery, outcome);
      if (run) runs.push(run);
      const snoozed = (snoozes.get(delivery.jobId) ?? 0) + (outcome.kind === 'snoozed' ? 1 : 0);
      snoozes.set(delivery.jobId, snoozed);
      if (runs.length > maxRuns || snoozed > maxSnoozes) giveUp(endless(name, runs.length - 1, delivery, outcome));
    },
  });
  const queue = defineQueue({ name });
  const hasRealWork = watchRealWork();
  const worker = new Worker({ queue, concurrency, scope, onUnhealthy: giveUp });
  await worker.connect(watched);
  worker.start();
  const stop = new AbortController();
  const progress = { events: () => events, hasRealWork, stop: stop.signal };
  try {
    const over = delayed ? runDelayed(testQueue, progress) : broker.whenQuiet(name);
    await Promise.race([over, gaveUp]);
    await worker.close();
    return runs;
  } catch (error) {
    stop.abort();
    worker.drain();
    worker.abort();
    // Code that ignores its signal goes by a clock that nobody moves, so nothing waits for it.
    void worker.close();
    throw error;
  }
}
