import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { AppSource } from '../../src/app/app-source.ts';
import type { Broker, ConsumeOptions, Outcome } from '../../src/broker/broker.ts';
import { connectBroker } from '../../src/broker/bullmq-broker.ts';
import { placeOf, queueKey } from '../../src/broker/keys.ts';
import { createLog } from '../../src/log.ts';
import { createCatalog } from '../../src/manifest/catalog.ts';
import { workerDefaults } from '../../src/manifest/defaults.ts';
import type { AnyTask } from '../../src/manifest/define-task.ts';
import { deriveJobId } from '../../src/producer/job-id.ts';
import { prepareJob } from '../../src/producer/prepare-job.ts';
import { openProducer, type Producer } from '../../src/producer/producer.ts';
import { createProducer } from '../../src/producer.ts';
import { createMemoryBroker } from '../../src/testing/memory-broker.ts';
import { bootstrap } from '../../src/worker/bootstrap.ts';
import { UnblockedClock } from '../../src/worker/clock.ts';
import { exitLimitMs, type RunningWorker } from '../../src/worker/running-worker.ts';
import queue from '../fixtures/hostile/queues/hostile/manifest.ts';
import anything from '../fixtures/hostile/tasks/anything/manifest.ts';
import good from '../fixtures/hostile/tasks/good/manifest.ts';
import inAsync from '../fixtures/hostile/tasks/in-async/manifest.ts';
import inProcess from '../fixtures/hostile/tasks/in-process/manifest.ts';
import inThread from '../fixtures/hostile/tasks/in-thread/manifest.ts';
import { openRedisPlace, type RedisPlace } from './redis-place.ts';

export const hostileTasks = { async: inAsync, thread: inThread, process: inProcess };
export type PoolName = keyof typeof hostileTasks;
export type BrokerName = 'redis' | 'memory';

/** What was seen of one job. */
export interface Watched {
  starts: number;
  settled: Outcome[];
  /** What its run rejected with; a run must not reject. */
  escaped: unknown;
  firstRunAt: number | undefined;
  longestMs: number;
}

const ending = new Set<Outcome['kind']>(['completed', 'failed', 'cancelled']);
export const isOver = ({ settled }: Watched) => settled.some(({ kind }) => ending.has(kind));

/** Counts the deliveries of each job, and how each of them ends. */
class DeliveryWatch {
  readonly #jobs = new Map<string, Watched>();
  readonly #waiting = new Map<string, () => void>();

  of(jobId: string): Watched {
    const known = this.#jobs.get(jobId);
    if (known) return known;
    const watched = { starts: 0, settled: [], escaped: undefined, firstRunAt: undefined, longestMs: 0 };
    this.#jobs.set(jobId, watched);
    return watched;
  }

  /** Resolves when a job is over, or its run has rejected, or the time is. */
  async over(jobId: string, limitMs: number): Promise<Watched> {
    const watched = this.of(jobId);
    if (isOver(watched) || watched.escaped !== undefined) return watched;
    await new Promise<void>((done) => {
      const timer = setTimeout(done, limitMs);
      this.#waiting.set(jobId, () => {
        clearTimeout(timer);
        done();
      });
    });
    this.#waiting.delete(jobId);
    return watched;
  }

  around(options: ConsumeOptions): ConsumeOptions {
    const startedAt = new Map<string, number>();
    return {
      ...options,
      run: async (delivery) => {
        const watched = this.of(delivery.jobId);
        watched.starts += 1;
        watched.firstRunAt ??= performance.now();
        startedAt.set(delivery.jobId, performance.now());
        try {
          return await options.run(delivery);
        } catch (error) {
          watched.escaped = error ?? 'nothing';
          this.#waiting.get(delivery.jobId)?.();
          throw error;
        }
      },
      onSettled: (job, outcome) => {
        options.onSettled?.(job, outcome);
        const watched = this.of(job.jobId);
        watched.settled.push(outcome);
        watched.longestMs = Math.max(watched.longestMs, performance.now() - (startedAt.get(job.jobId) ?? 0));
        startedAt.delete(job.jobId);
        if (isOver(watched)) this.#waiting.get(job.jobId)?.();
      },
    };
  }
}

const sources: Record<string, () => Promise<{ default: unknown }>> = {
  anything: () => import('../fixtures/hostile/tasks/anything/task.ts'),
  good: () => import('../fixtures/hostile/tasks/good/task.ts'),
  'in-async': () => import('../fixtures/hostile/tasks/in-async/task.ts'),
};

/** The fixture's app with one pool: the tasks of the others would start threads and processes for nothing. */
function openApp(pool: PoolName): AppSource {
  const tasks: AnyTask[] = [anything, good, hostileTasks[pool]];
  const found = <T extends { name: string }>(value: T) => ({ folder: value.name, file: value.name, value });
  return {
    manifests: async () => createCatalog({ tasks: tasks.map(found), queues: [found(queue)] }),
    hooks: () => undefined,
    config: async () => ({}),
    findQueue: async () => ({
      tasks: tasks.map((manifest) => ({
        manifest,
        file: manifest.name,
        load: async () => (await sources[manifest.name]?.())?.default,
      })),
    }),
  };
}

const program = { file: resolve('dist/test/fixtures/hostile/unit.js'), execArgv: [] };
const limits = { ...workerDefaults, maxAbandoned: 1_000_000, unknownTaskDeadlineMs: 1 };
const graceMs = 1_000;
/** No good job waits longer because of another one, in milliseconds. */
export const longestWaitMs = 100;
/** How often a good job is enqueued beside the hostile ones. */
const neighbourEveryMs = 20;

interface HostileWorkerOptions {
  broker: BrokerName;
  pool: PoolName;
}

/** A whole worker in the test's own process, its producer, and all that can be seen of both. */
export class HostileWorker {
  readonly producer: Producer;
  readonly watch = new DeliveryWatch();
  /** The log lines of the worker and its units. */
  readonly lines: string[] = [];
  /** What was thrown or rejected past everybody, and what made the worker give up. */
  readonly strays: string[] = [];
  readonly redis: Redis | undefined;
  readonly #place: RedisPlace | undefined;
  readonly #options: HostileWorkerOptions;
  readonly #memory = new UnblockedClock();
  readonly #memoryBroker = createMemoryBroker(this.#memory);
  #running: RunningWorker | undefined;
  #closing: Promise<void> | undefined;

  static async open(options: HostileWorkerOptions): Promise<HostileWorker> {
    const worker = new HostileWorker(options);
    process.on('unhandledRejection', worker.#onStray);
    process.on('uncaughtException', worker.#onStray);
    await worker.start();
    return worker;
  }

  private constructor(options: HostileWorkerOptions) {
    this.#options = options;
    if (options.broker === 'redis') {
      this.#place = openRedisPlace();
      this.redis = new Redis(this.#place.url);
      this.producer = createProducer({ redis: this.#place.url, prefix: this.#place.prefix, timeoutMs: 10_000 });
    } else {
      this.producer = openProducer(this.#memoryBroker.connectProducer(), 10_000);
    }
  }

  readonly #onStray = (error: unknown) => {
    this.strays.push(error instanceof Error ? (error.stack ?? '') : typeof error);
  };

  key(name: string): string {
    return queueKey(placeOf({ name: queue.name }, this.#place?.prefix ?? ''), name);
  }

  async start(): Promise<void> {
    const write = (line: string) => void this.lines.push(line);
    this.#running = await bootstrap({
      app: openApp(this.#options.pool),
      queues: [queue.name],
      config: {},
      limits,
      log: createLog('info', { write }),
      connect: () => this.#connect(),
      checkWanted() {},
      pools: { program, writeLine: write },
      children: { deriveId: deriveJobId, prepare: prepareJob },
      onUnhealthy: (error) => void this.strays.push(error.message),
    });
  }

  async #connect(): Promise<Broker> {
    const place = this.#place;
    const broker = place ? await connectBroker({ redis: place.url, prefix: place.prefix }) : { ...this.#memoryBroker };
    const consume = broker.consume.bind(broker);
    broker.consume = (options) => consume(this.watch.around(options));
    return broker;
  }

  /** Stops the worker. Returns by how many milliseconds it was over its deadline. */
  async stop(): Promise<number> {
    const startedAt = performance.now();
    await this.#running?.stop(graceMs);
    this.#running = undefined;
    return Math.max(0, performance.now() - startedAt - graceMs - exitLimitMs);
  }

  /**
   * Returns how many milliseconds longer good jobs wait because of some work than beside the usual work: at each of
   * several times, so that it is not by chance.
   */
  async delayBy(work: () => Promise<unknown>, usual: () => Promise<unknown>): Promise<number> {
    let least = await this.#besideGoodJobs(work);
    for (let again = 0; again < 4 && least > longestWaitMs; again++) {
      const usually = await this.#besideGoodJobs(usual);
      least = Math.min(least, (await this.#besideGoodJobs(work)) - usually);
    }
    return Math.round(least);
  }

  /** Enqueues a good job every few milliseconds until the work is over. Returns how long the slowest one waited. */
  async #besideGoodJobs(work: () => Promise<unknown>): Promise<number> {
    const waits = this.watchGoodJobs();
    await work().finally(() => waits.stop());
    return Math.max(0, ...waits.all.map(([from, to]) => to - from));
  }

  /** Enqueues a good job every few milliseconds until it is told to stop, and notes from when to when each one waits. */
  watchGoodJobs() {
    const all: [from: number, to: number][] = [];
    const running = new Set<Promise<void>>();
    const run = () => {
      // A worker that failed is closed in the midst of them.
      if (this.#closing) return clearInterval(timer);
      const one = this.#runGoodJob()
        .then((wait) => void all.push(wait))
        .catch((error) => void (this.#closing ?? this.strays.push(String(error))))
        .finally(() => running.delete(one));
      running.add(one);
    };
    const timer = setInterval(run, neighbourEveryMs);
    run();
    return {
      all,
      /** Returns the longest wait, if it was longer than it may be. */
      tooLong: () =>
        all.toSorted((a, b) => b[1] - b[0] - (a[1] - a[0])).find(([from, to]) => to - from > longestWaitMs),
      async stop() {
        clearInterval(timer);
        await Promise.all(running);
      },
    };
  }

  /** Runs a good job. Returns from when to when it waited for its start, by performance.now(). */
  async #runGoodJob(): Promise<[number, number]> {
    const sentAt = performance.now();
    const { id } = await this.producer.enqueue(good, {});
    const { firstRunAt = Number.POSITIVE_INFINITY, starts, settled } = await this.watch.over(id, 10_000);
    const isFine = starts === 1 && settled.length === 1 && settled[0]?.kind === 'completed';
    if (!isFine) this.strays.push(`A good job was started ${starts} times, and ended as ${JSON.stringify(settled)}`);
    return [sentAt, firstRunAt];
  }

  /** Ends what there is; may be called twice. A worker that hangs is left behind: the test that found it has failed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.race([this.stop(), sleep(graceMs + exitLimitMs)]);
    await this.producer.close();
    this.redis?.disconnect();
    await this.#place?.close();
    this.#memory.close();
    process.off('unhandledRejection', this.#onStray);
    process.off('uncaughtException', this.#onStray);
  }
}
