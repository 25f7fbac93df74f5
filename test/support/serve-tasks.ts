import type { Delivery, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { ReleasedError } from '../../src/errors.ts';
import { type WorkerLimits, workerDefaults } from '../../src/manifest/defaults.ts';
import { defineQueue, type QueueManifest } from '../../src/manifest/define-queue.ts';
import type { AnyTask } from '../../src/manifest/define-task.ts';
import type { RunScope } from '../../src/worker/attempt.ts';
import { UnblockedClock } from '../../src/worker/clock.ts';
import type { LoadableTask } from '../../src/worker/load-queue.ts';
import { runJob } from '../../src/worker/run-job.ts';
import type { TaskContext } from '../../src/worker/task-context.ts';

type Code = (payload: never, context: TaskContext<object>) => unknown;

export interface ServeOptions {
  tasks: { manifest: AnyTask; run?: Code; pool?: LoadableTask['pool'] }[];
  queue?: QueueManifest;
  limits?: Partial<WorkerLimits>;
  /** Default: 50. */
  concurrency?: number;
  onOutcome?(delivery: Delivery, outcome: Outcome): void;
}

/** Serves a queue by Islet's own worker, from the decision whether a job runs to its end in Redis. */
export async function serveTasks(place: { url: string; prefix: string }, options: ServeOptions) {
  const clock = new UnblockedClock();
  const outcomes: Outcome[] = [];
  const troubles: string[] = [];
  const running = new Set<Delivery>();
  const silent = { debug() {}, info() {}, warn() {}, child: () => silent };
  const loadables = options.tasks.map(({ manifest, run, pool }): LoadableTask => {
    return { manifest, pool, load: async () => ({ kind: 'implementation', manifest, run }) as never };
  });
  const scope = {
    queue: {
      tasks: new Map(
        loadables.flatMap((task) =>
          [task.manifest.name, ...task.manifest.formerNames].map((name) => [name, task] as const),
        ),
      ),
      openScope: () => ({ cradle: {}, async dispose() {} }),
    },
    log: silent,
    limits: { ...workerDefaults, ...options.limits },
    clock,
    gate: { enter: async () => true, async leave() {} },
    onAbandoned() {},
  } as unknown as RunScope;
  const broker = await connectBroker({ redis: place.url, prefix: place.prefix });
  const consumer = await broker.consume({
    queue: options.queue ?? defineQueue({ name: 'mail' }),
    concurrency: options.concurrency ?? 50,
    async run(delivery) {
      running.add(delivery);
      const outcome = await runJob(delivery, scope);
      running.delete(delivery);
      outcomes.push(outcome);
      options.onOutcome?.(delivery, outcome);
      return outcome;
    },
    onTrouble: ({ message }) => void troubles.push(message),
    onRecovered() {},
    onDead: ({ message }) => void troubles.push(message),
  });
  consumer.start();
  const close = async () => {
    await consumer.close();
    await broker.close();
    clock.close();
  };
  /** Tells the running jobs that their worker stops. */
  const abort = () => {
    for (const { abort, jobId } of running) abort.abort(new ReleasedError(jobId));
  };
  return { outcomes, troubles, abort, close };
}
