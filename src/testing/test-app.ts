import { IsletError } from '../errors.ts';
import { checks } from '../manifest/check-options.ts';
import { workerDefaults } from '../manifest/defaults.ts';
import type { AnyTask, PayloadInput } from '../manifest/define-task.ts';
import type { JobMeta } from '../manifest/meta.ts';
import type { MetaSource } from '../producer/current-meta.ts';
import { deriveJobId } from '../producer/job-id.ts';
import { prepareJob } from '../producer/prepare-job.ts';
import { openProducer, type Producer } from '../producer/producer.ts';
import { Gate } from '../worker/gate.ts';
import type { Task } from '../worker/task-context.ts';
import type { WorkerOptions } from '../worker/worker.ts';
import { checkGiven, checkGivenOptions } from './check-given.ts';
import { type DrainOptions, drainQueue, type JobRun } from './drain.ts';
import { createFakeDeps, type Fakes, silentLog } from './fakes.ts';
import { createMemoryBroker, type MemoryBroker } from './memory-broker.ts';
import type { MemoryJob } from './memory-job.ts';
import { createTestClock, isTime, type TestClock } from './test-clock.ts';

/** Any task, whatever its payload and dependencies. */
export interface AnyImplementation {
  readonly kind: 'implementation';
  readonly manifest: AnyTask;
  readonly run: (payload: never, context: never) => unknown;
}

type DepsOf<T> = T extends { run: (payload: never, context: infer Context) => unknown }
  ? Context extends { deps: infer Deps extends object }
    ? Deps
    : never
  : never;

type AllOf<Union> = (Union extends unknown ? (one: Union) => void : never) extends (all: infer All) => void
  ? All
  : never;

export interface TestAppOptions<Tasks extends readonly AnyImplementation[]> {
  /** The tasks that can be run: what their task.ts files export by default. */
  tasks: Tasks;
  /** What the tasks find in `deps`; reading another one throws `E_FAKE_MISSING`. Default: nothing. */
  deps?: Fakes<Extract<AllOf<DepsOf<Tasks[number]>>, object>>;
  /** Where the clock starts, in milliseconds since 1970, from 0; another value throws `E_TEST_INVALID`. Default: now. */
  startAt?: number;
  /** What the jobs carry beside their payload, as of `createProducer`. Default: nothing. */
  meta?: MetaSource;
}

/** A job that was enqueued in a test. */
export interface EnqueuedJob<M extends AnyTask = AnyTask> {
  readonly id: string;
  readonly payload: PayloadInput<M>;
  /** Undefined where the job was enqueued without a delay. */
  readonly delayMs: number | undefined;
  readonly priority: number | undefined;
  /** Undefined where the job has none. */
  readonly meta: JobMeta | undefined;
  /** `replaced` means by a newer job of its dedupe key. */
  readonly state: MemoryJob['state'];
}

/** An app in memory: nothing of it needs Redis, or waits for a clock. */
export interface TestApp extends Pick<Producer, 'enqueue' | 'enqueueMany' | 'cancel' | 'job' | 'counts'> {
  /** The producer to hand to code under test. */
  readonly producer: Producer;
  /** Returns all jobs of a task that were enqueued, in their order, also those that have run. */
  enqueued<M extends AnyTask>(manifest: M): EnqueuedJob<M>[];
  /**
   * Runs a queue's jobs, and those that they enqueue there, until none may start: what is delayed, or to be retried,
   * stays. Returns how each run ended. Throws `E_QUEUE_UNKNOWN`, `E_TASK_UNKNOWN`, `E_DRAIN_ENDLESS`, or
   * `E_TEST_INVALID` for a wrong option. A task that hangs holds it up until the clock is moved past its `timeoutMs`.
   */
  drain(queue: string, options?: DrainOptions): Promise<JobRun[]>;
  /**
   * Moves the clock on by `ms` milliseconds: delays, backoff and time-outs go by it, `Date.now()` does not. Throws
   * `E_TEST_INVALID` unless `ms` is a finite number from 0.
   */
  advance(ms: number): Promise<void>;
  /** Returns the clock's time, in milliseconds since 1970. */
  now(): number;
  /** Closes the producer. May be called twice. */
  close(): Promise<void>;
}

const producerTimeoutMs = 900;
const drainChecks = { delayed: checks.flag, concurrency: checks.integer(1, 10_000), maxRuns: checks.integer(1) };

function toEnqueued<M extends AnyTask>({ id, payloadJson, delayMs, priority, meta, state }: MemoryJob): EnqueuedJob<M> {
  return { id, payload: JSON.parse(payloadJson), delayMs, priority, meta, state };
}

/** Creates what a worker of one queue runs in, with fakes in place of its dependencies. */
function createScope(
  queue: string,
  tasks: readonly Task[],
  deps: object,
  { send }: MemoryBroker,
  clock: TestClock,
): WorkerOptions['scope'] {
  const cradle = createFakeDeps(`A task of queue "${queue}"`, deps);
  const entries = tasks.flatMap((task) => {
    const loadable = { manifest: task.manifest, load: async () => task };
    return [task.manifest.name, ...task.manifest.formerNames].map((name) => [name, loadable] as const);
  });
  const code = {
    openScope: () => ({ cradle, dispose: async () => {} }),
    tasks: new Map(entries),
    close: async () => {},
  };
  const children = { deriveId: deriveJobId, send, prepare: prepareJob };
  return { queue: code, log: silentLog, children, limits: workerDefaults, clock, gate: new Gate() };
}

function checkTasks(tasks: unknown): readonly Task[] {
  if (!Array.isArray(tasks)) throw new IsletError('E_TASK_LOAD_FAILED', 'createTestApp needs `tasks`: an array.');
  for (const [index, task] of tasks.entries()) {
    if (task?.kind === 'implementation') continue;
    const seen = `\`tasks[${index}]\` of createTestApp is not what implement() returns`;
    throw new IsletError('E_TASK_LOAD_FAILED', `${seen}. Give it what the task.ts file exports by default.`);
  }
  return tasks;
}

/**
 * Creates an app without Redis: jobs are enqueued and run as in a real one, by a clock that the test moves, with fakes
 * in place of the queues' dependencies.
 */
export function createTestApp<const Tasks extends readonly AnyImplementation[]>(
  options: TestAppOptions<Tasks>,
): TestApp {
  const appChecks = { tasks: () => undefined, deps: checks.object, startAt: isTime, meta: checks.callable };
  const { deps = {}, startAt = Date.now(), meta } = checkGivenOptions('createTestApp', options, appChecks);
  const tasks = checkTasks(options.tasks);
  const clock = createTestClock(startAt);
  const broker = createMemoryBroker(clock);
  const producer = openProducer(broker.connectProducer(), producerTimeoutMs, meta);
  return {
    producer,
    enqueue: producer.enqueue,
    enqueueMany: producer.enqueueMany,
    cancel: producer.cancel,
    job: producer.job,
    counts: producer.counts,
    enqueued(manifest) {
      checkGiven('The task of enqueued', manifest, checks.task);
      const jobs = broker.queue(manifest.queue).all.filter(({ task }) => task === manifest.name);
      return jobs.map((job) => toEnqueued(job));
    },
    async drain(queue, drainOptions = {}) {
      const known = tasks.filter(({ manifest }) => manifest.queue === queue);
      if (known.length === 0) {
        const queues = [...new Set(tasks.map(({ manifest }) => `"${manifest.queue}"`))];
        const seen = `No task of queue "${queue}" was given to createTestApp, only of ${queues.join(', ') || 'none'}.`;
        throw new IsletError('E_QUEUE_UNKNOWN', `${seen} Add its tasks to \`tasks\`.`);
      }
      checkGivenOptions('drain', drainOptions, drainChecks);
      const scope = createScope(queue, known, deps, broker, clock);
      return drainQueue({ broker, clock, name: queue, scope }, drainOptions);
    },
    advance: (ms) => clock.advance(ms),
    now: () => clock.now(),
    close: () => producer.close(),
  };
}
