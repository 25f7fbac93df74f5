import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppSource, QueueSource } from '../app/app-source.ts';
import type { Broker } from '../broker/broker.ts';
import type { IsletError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createUnblockedClock } from './clock.ts';
import type { ChildJobs } from './enqueue-port.ts';
import { createGate, type ProcessGate } from './gate.ts';
import { type LoadedHooks, loadHooks, startHooks } from './hooks.ts';
import { joinHooks } from './job-hooks.ts';
import type { WorkerLimits } from './limits.ts';
import { isPooled, type LoadedQueue, loadQueue, type OpenPool } from './load-queue.ts';
import type { PoolHost } from './pools/open-pool.ts';
import { createWorker, type Worker } from './worker.ts';

export interface BootstrapOptions {
  app: AppSource;
  queues: string[];
  /** Overrides the manifests' concurrency. */
  concurrency?: number;
  config: unknown;
  limits: WorkerLimits;
  log: Log;
  /** Opened after the code was loaded: a broken import must not take a job. */
  connect(): Promise<Broker>;
  /** Throws when the start is no longer wanted: loading, connecting and hooks may have taken long. */
  checkWanted(): void;
  children(broker: Broker): ChildJobs;
  /** What tasks that run in threads or processes are started by. */
  pools: PoolHost;
  /** The worker has to be replaced. */
  onUnhealthy(error: IsletError): void;
  /** A job's code has run, and its outcome is about to be written. */
  onJobEnd?(): void;
}

export interface StartedQueue {
  queue: string;
  tasks: string[];
  concurrency: number;
}

export interface WorkerProcess {
  readonly queues: StartedQueue[];
  readonly redis: string;
  /** Jobs whose code runs now, and whose code has run. */
  jobs(): { running: number; done: number };
  /** Gives back at once what dead workers left, if their death can be proven. */
  recoverDead(): Promise<void>;
  /** What is left of a grace in milliseconds: less, if the process was asked to stop while it was blocked. */
  graceLeftMs(graceMs: number): number;
  /**
   * Takes no further job, lets the running ones finish for `graceMs` milliseconds, then aborts them and gives them
   * back. When it resolves the process has to end: code that ignored its signal may still run. Called again, it
   * shortens the grace.
   */
  stop(graceMs: number): Promise<void>;
}

interface Loaded {
  name: string;
  code: LoadedQueue;
  /** The outermost first. */
  hooks: LoadedHooks[];
}

/** The code of an app, which is told of the start later; `close` takes both back, in the opposite order. */
interface LoadedApp {
  queues: Loaded[];
  /** Tells the hooks that the worker starts. */
  tellStart(workers: Worker[]): Promise<void>;
  close(): Promise<void>;
}

/** What aborted code has to stop; a job that timed out shortly before may ignore its signal for longer. */
const stopLimitMs = 1_100;
/** How long dependencies have to close when jobs wait to be given back, in milliseconds. */
const disposeLimitMs = 400;
/** After the grace: a second for code to stop, then the rest to give the jobs back. */
export const exitLimitMs = 1_900;
/** A process that is blocked then does none of this: it is ended earlier, since its guard is late, and tells Redis first. */
export const blockedExitMs = 1_150;

/** The code of pools is loaded where a task needs it. */
async function preparePools(queue: QueueSource, host: PoolHost): Promise<OpenPool | undefined> {
  if (!queue.tasks.some(isPooled)) return undefined;
  const { openPool } = await import('./pools/open-pool.ts');
  return (source) => openPool(source, host);
}

async function loadAll({ app, queues: names, config, log, pools }: BootstrapOptions): Promise<LoadedApp> {
  const queues: Loaded[] = [];
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer().catch(() => {});
  };
  try {
    const source = app.hooks();
    const appHooks = source ? [await loadHooks(source, { config, log })] : [];
    for (const name of names) {
      const host = { config, log: log.child({ queue: name }) };
      const queue = await app.loadQueue(name);
      const code = await loadQueue(name, queue, host, await preparePools(queue, pools));
      closers.push(() => code.close());
      const hooks = queue.hooks ? [...appHooks, await loadHooks(queue.hooks, host)] : appHooks;
      queues.push({ name, code, hooks });
    }
    const tellStart = async (workers: Worker[]) => {
      const tell = async (hooks: LoadedHooks, told: string[]) => {
        const theirs = workers.flatMap(({ queue, bullmq }) => (bullmq && told.includes(queue) ? [bullmq] : []));
        closers.push(await startHooks(hooks, { queues: told, workers: theirs }, log));
      };
      for (const hooks of appHooks) await tell(hooks, names);
      for (const { name, hooks } of queues) {
        for (const own of hooks.slice(appHooks.length)) await tell(own, [name]);
      }
    };
    return { queues, tellStart, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function nameTasks(code: LoadedQueue): string[] {
  const manifests = new Set([...code.tasks.values()].map(({ manifest }) => manifest));
  return [...manifests].map(({ name, load, pool }) => {
    const notes = [...(load === 'on-first-job' ? ['on first job'] : []), ...(pool.kind === 'async' ? [] : [pool.kind])];
    return notes.length > 0 ? `${name} (${notes.join(', ')})` : name;
  });
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: over.signal })]).finally(() => over.abort());
}

/** Stops workers in the order that loses nothing and runs nothing twice. */
async function stopWorkers(
  workers: Worker[],
  gate: ProcessGate,
  closeCode: () => Promise<unknown>,
  { graceOver, graceEnd }: { graceOver: Promise<unknown>; graceEnd: AbortController },
) {
  gate.close();
  for (const worker of workers) worker.drain();
  const idle = () => Promise.all(workers.map((worker) => worker.idle()));
  await Promise.race([idle(), graceOver]);
  const late = workers.some((worker) => worker.running > 0);
  graceEnd.abort();
  for (const worker of workers) worker.abort();
  await atMost(stopLimitMs, idle());
  await (late ? atMost(disposeLimitMs, closeCode()) : closeCode());
  await Promise.all(workers.map((worker) => worker.close()));
}

/** Loads the queues' code, connects, and starts one worker for each queue. */
export async function bootstrap(options: BootstrapOptions): Promise<WorkerProcess> {
  const { log, limits, onUnhealthy, onJobEnd } = options;
  const catalog = await options.app.manifests();
  const queues = options.queues.map((name) => catalog.queue(name));
  const loaded = await loadAll(options);
  const closeCode = () => loaded.close();
  const connect = async () => {
    options.checkWanted();
    return options.connect();
  };
  const broker = await connect().catch(async (error) => {
    await closeCode();
    throw error;
  });
  const children = options.children(broker);
  const clock = createUnblockedClock();
  const gate = createGate();
  const concurrencyOf = ({ name, code }: Loaded) =>
    // What no thread or process is there for is left to other workers.
    Math.min(options.concurrency ?? catalog.queue(name).concurrency, code.room ?? Number.POSITIVE_INFINITY);
  const workers: Worker[] = [];
  const hurry = new AbortController();
  const graceEnd = new AbortController();
  // Each job with a hook listens.
  setMaxListeners(0, graceEnd.signal);

  const stop = async () => {
    try {
      const graceOver = new Promise((resolve) => hurry.signal.addEventListener('abort', resolve));
      await stopWorkers(workers, gate, closeCode, { graceOver, graceEnd });
    } finally {
      clock.close();
      await broker.close();
    }
  };
  let stopping: Promise<void> | undefined;
  const process: WorkerProcess = {
    queues: loaded.queues.map((each) => ({
      queue: each.name,
      tasks: nameTasks(each.code),
      concurrency: concurrencyOf(each),
    })),
    redis: broker.description,
    jobs: () => ({
      running: workers.reduce((sum, worker) => sum + worker.running, 0),
      done: workers.reduce((sum, worker) => sum + worker.done, 0),
    }),
    recoverDead: () => broker.recoverDead(),
    graceLeftMs(graceMs) {
      const exitAt = broker.exitBy(Date.now() + graceMs + blockedExitMs);
      return Math.max(0, exitAt - blockedExitMs - Date.now());
    },
    stop(graceMs) {
      const timer = setTimeout(() => hurry.abort(), process.graceLeftMs(graceMs));
      stopping ??= stop();
      return stopping.finally(() => clearTimeout(timer));
    },
  };
  try {
    options.checkWanted();
    for (const [index, each] of loaded.queues.entries()) {
      const { code, hooks } = each;
      const queue = queues[index];
      if (!queue) continue;
      const scope = {
        queue: code,
        log,
        children,
        limits,
        clock,
        gate,
        hooks: joinHooks(hooks, { log, timers: clock, stopping: graceEnd.signal }),
      };
      const concurrency = concurrencyOf(each);
      workers.push(await createWorker(broker, { queue, concurrency, scope, onUnhealthy, onJobEnd }));
    }
    await loaded.tellStart(workers);
    options.checkWanted();
    for (const worker of workers) worker.start();
    return process;
  } catch (error) {
    await process.stop(0).catch(() => {});
    throw error;
  }
}
