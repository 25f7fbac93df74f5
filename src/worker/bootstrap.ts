import type { AppSource } from '../app/app-source.ts';
import type { Broker } from '../broker/broker.ts';
import type { Log } from '../log.ts';
import type { ChildJobs } from './enqueue-port.ts';
import { type LoadedQueue, loadQueue } from './load-queue.ts';
import { startWorker, type Worker } from './worker.ts';

export interface BootstrapOptions {
  app: AppSource;
  queues: string[];
  /** Overrides the manifests' concurrency. */
  concurrency?: number;
  config: unknown;
  log: Log;
  /** Opened after the code was loaded: a broken import must not take a job. */
  connect(): Promise<Broker>;
  children(broker: Broker): ChildJobs;
}

export interface StartedQueue {
  queue: string;
  tasks: string[];
  concurrency: number;
}

export interface WorkerProcess {
  readonly queues: StartedQueue[];
  readonly redis: string;
  /** Takes no new job, lets the running ones finish, disposes of the dependencies. May be called twice. */
  drain(): Promise<void>;
  /** Like drain, but gives the running jobs back. */
  release(): Promise<void>;
}

type Loaded = { name: string; code: LoadedQueue };

async function loadAll({ app, queues, config, log }: BootstrapOptions): Promise<Loaded[]> {
  const loaded: Loaded[] = [];
  try {
    for (const name of queues) {
      const host = { config, log: log.child({ queue: name }) };
      loaded.push({ name, code: await loadQueue(name, await app.loadQueue(name), host) });
    }
    return loaded;
  } catch (error) {
    await Promise.allSettled(loaded.map(({ code }) => code.close()));
    throw error;
  }
}

function nameTasks(code: LoadedQueue): string[] {
  const manifests = new Set([...code.tasks.values()].map(({ manifest }) => manifest));
  return [...manifests].map(({ name, load }) => (load === 'on-first-job' ? `${name} (on first job)` : name));
}

/** Loads the queues' code, connects, and starts one worker for each queue. */
export async function bootstrap(options: BootstrapOptions): Promise<WorkerProcess> {
  const catalog = await options.app.manifests();
  const manifests = new Map(options.queues.map((name) => [name, catalog.queue(name)]));
  const loaded = await loadAll({ ...options, queues: [...manifests.keys()] });
  const closeCode = () => Promise.all(loaded.map(({ code }) => code.close()));
  const broker = await options.connect().catch(async (error) => {
    await closeCode();
    throw error;
  });
  const children = options.children(broker);
  const concurrencyOf = (name: string) => options.concurrency ?? catalog.queue(name).concurrency;
  const workers: Worker[] = [];
  for (const { name, code } of loaded) {
    const scope = { queue: code, log: options.log, children };
    workers.push(await startWorker(broker, catalog.queue(name), concurrencyOf(name), scope));
  }
  const stop = async (how: (worker: Worker) => Promise<void>) => {
    try {
      await Promise.all(workers.map(how));
      await closeCode();
    } finally {
      await broker.close();
    }
  };
  let stopping: Promise<void> | undefined;
  const drain = () => {
    stopping ??= stop((worker) => worker.drain());
    return stopping;
  };
  return {
    queues: loaded.map(({ name, code }) => ({ queue: name, tasks: nameTasks(code), concurrency: concurrencyOf(name) })),
    redis: broker.description,
    drain,
    async release() {
      await Promise.all(workers.map((worker) => worker.release()));
      await drain();
    },
  };
}
