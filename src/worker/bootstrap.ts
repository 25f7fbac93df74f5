import type { Broker, NewJob } from '../broker/broker.ts';
import type { WorkerLimits } from '../manifest/defaults.ts';
import type { ChildJobs } from './job-context.ts';
import { joinHooks } from './job-hooks.ts';
import { type AppHost, LoadedApp } from './load-app.ts';
import type { LoadedQueue } from './load-queue.ts';
import { RunningWorker } from './running-worker.ts';
import { Worker, type WorkerOptions } from './worker.ts';

interface BootstrapOptions extends AppHost, Pick<WorkerOptions, 'onUnhealthy' | 'onJobEnd'> {
  queues: string[];
  /** Overrides the manifests' concurrency. */
  concurrency?: number;
  limits: WorkerLimits;
  /** Connects to Redis, once the code is loaded. */
  connect(): Promise<Broker>;
  /** Throws when the start is no longer wanted: loading, connecting and hooks may have taken long. */
  checkWanted(): void;
  children: Omit<ChildJobs, 'send'>;
}

/** Loads the queues' code, connects, and starts one worker for each queue. */
export async function bootstrap(options: BootstrapOptions): Promise<RunningWorker> {
  const app = new LoadedApp(options);
  let running: RunningWorker | undefined;
  try {
    // A broken import must not take a job.
    await app.load(options.queues);
    options.checkWanted();
    running = new RunningWorker(app, await options.connect());
    options.checkWanted();
    for (const queue of app.queues) await openWorker(queue, running, options);
    await app.tellStart(running.workers, running.clock);
    options.checkWanted();
    for (const worker of running.workers) worker.start();
    return running;
  } catch (error) {
    await (running ? running.stop(0) : app.close()).catch(() => {});
    throw error;
  }
}

/** Opens the worker of one queue. The broker makes BullMQ's Worker for it, in src/broker/consumer.ts. */
async function openWorker(own: LoadedApp['queues'][number], running: RunningWorker, options: BootstrapOptions) {
  const { manifest, code, hooks } = own;
  const { log, limits, onUnhealthy, onJobEnd } = options;
  const { broker, clock, gate, graceEnd } = running;
  // Jobs for which no thread or process is there are left to other workers.
  const concurrency = Math.min(options.concurrency ?? manifest.concurrency, code.room ?? Number.POSITIVE_INFINITY);
  const jobHooks = joinHooks(hooks, { log, timers: clock, stopping: graceEnd.signal });
  const children = { ...options.children, send: (jobs: NewJob[]) => broker.send(jobs) };
  const scope = { queue: code, log, children, limits, clock, gate, hooks: jobHooks };
  const worker = new Worker({ queue: manifest, concurrency, scope, onUnhealthy, onJobEnd });
  await worker.connect(broker);
  running.workers.push(worker);
  running.queues.push({ queue: manifest.name, tasks: nameTasks(code), concurrency });
}

/** Names a queue's tasks, with a note on those that are not loaded in the worker's own thread at once. */
function nameTasks(code: LoadedQueue): string[] {
  const manifests = new Set([...code.tasks.values()].map(({ manifest }) => manifest));
  return [...manifests].map(({ name, load, pool }) => {
    const notes = [...(load === 'on-first-job' ? ['on first job'] : []), ...(pool.kind === 'async' ? [] : [pool.kind])];
    return notes.length > 0 ? `${name} (${notes.join(', ')})` : name;
  });
}
