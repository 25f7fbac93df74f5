import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AppSource } from '../../app/app-source.ts';
import type { NewJob } from '../../broker/broker.ts';
import { IsletError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { createContext } from '../create-context.ts';
import type { ChildJobs } from '../enqueue-port.ts';
import { executeTask } from '../execute-task.ts';
import { type LoadableTask, type LoadedQueue, loadQueue } from '../load-queue.ts';
import { toFailure, toResultJson } from '../outcome.ts';
import type { PoolJob } from '../pool.ts';
import { carryError, reviveError } from './carried-error.ts';
import type { FromUnit, ToUnit, UnitOrder, Way } from './messages.ts';

export interface UnitHost {
  readonly order: UnitOrder;
  readonly way: Way<ToUnit, FromUnit>;
  /** Opens the app, and a log whose lines are handed to the worker. */
  open(writeLine: (line: string) => void): Promise<{ app: AppSource; config: unknown; log: Log }>;
  readonly children: Omit<ChildJobs, 'send'>;
  end(code: number): void;
}

interface Loaded {
  readonly code: LoadedQueue;
  readonly task: LoadableTask;
  readonly log: Log;
}

/** What a request is answered by; the worker answers in its own time. */
type Ask = (request: { say: 'start'; run: number } | { say: 'send'; jobs: NewJob[] }) => Promise<void>;

const bytesPerMb = 1_048_576;

/** Of a thread only what is its own: the rest is its worker's. */
function memoryMb({ parent }: UnitOrder): number {
  if (parent !== undefined) return process.memoryUsage.rss() / bytesPerMb;
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return (heap + external) / bytesPerMb;
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Whether it takes too much, what the next collection would free not counted. */
function takesTooMuch(order: UnitOrder): boolean {
  if (memoryMb(order) <= order.replaceAboveMb) return false;
  collectGarbage();
  return memoryMb(order) > order.replaceAboveMb;
}

async function load({ order, open, way }: UnitHost): Promise<Loaded> {
  const { app, config, log } = await open((line) => way.send({ say: 'log', line }));
  const source = await app.loadQueue(order.queue);
  const tasks = source.tasks.filter(({ manifest }) => manifest.name === order.task);
  const code = await loadQueue(order.queue, { ...source, tasks }, { config, log: log.child({ queue: order.queue }) });
  const task = code.tasks.get(order.task);
  if (!task) throw new IsletError('E_TASK_UNKNOWN', `Queue "${order.queue}" has no task "${order.task}".`);
  // Also what is rare: there is a job for it now.
  await task.load();
  return { code, task, log };
}

/** A job whose code runs, and how to end it from outside its promise. */
interface Running {
  readonly abort: AbortController;
  fail(error: unknown): void;
}

interface RunScope {
  readonly run: number;
  readonly abort: AbortController;
  readonly host: UnitHost;
  readonly loaded: Loaded;
  readonly ask: Ask;
}

/** Runs one job, in the same steps as in the worker's own thread. Never rejects. */
async function runJob(job: PoolJob, { run, abort, host, loaded, ask }: RunScope) {
  const { way, children, order } = host;
  const { code, task, log } = loaded;
  const reportProgress = async (value: number | object) => way.send({ say: 'progress', run, value });
  const delivered = { ...job, queue: order.queue, abort, reportProgress };
  const send = (jobs: NewJob[]) => ask({ say: 'send', jobs });
  const context = createContext(delivered, task.manifest, { log, children: { ...children, send } });
  try {
    const { openScope } = code;
    const beforeRun = () => ask({ say: 'start', run });
    const result = await executeTask(task, { input: job.input, openScope, context, beforeRun });
    return { resultJson: toResultJson(task.manifest, result) };
  } catch (error) {
    return { error: carryError(error) };
  } finally {
    await context.flush();
  }
}

/** Loads one task, then runs its jobs, one at a time, until the worker says that it is enough. */
export async function serveUnit(host: UnitHost): Promise<void> {
  const { order, way, end } = host;
  const asked = new Map<number, (error: unknown) => void>();
  let lastId = 0;
  let runs = 0;
  let running: Running | undefined;
  let loaded: Loaded | undefined;

  const ask: Ask = (request) =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      asked.set(id, (error) => (error === undefined ? resolve() : reject(error)));
      way.send({ ...request, id });
    });
  const run = async (job: PoolJob, loadedNow: Loaded) => {
    const number = ++runs;
    const abort = new AbortController();
    let stray = false;
    // What escaped the job's promise: its code may still run, so no other job comes here.
    const escaped = new Promise<{ error: ReturnType<typeof carryError> }>((resolve) => {
      running = {
        abort,
        fail(error) {
          stray = true;
          resolve({ error: carryError(error) });
          abort.abort(error);
        },
      };
    });
    const ended = await Promise.race([runJob(job, { run: number, abort, host, loaded: loadedNow, ask }), escaped]);
    running = undefined;
    const last = stray || number >= order.maxJobs || takesTooMuch(order);
    way.send({ say: 'done', run: number, ...ended, last });
  };
  const onStray = (error: unknown) => {
    if (running) return running.fail(error);
    if (!loaded) return way.send({ say: 'broken', error: carryError(error) });
    const problem = toFailure(error, loaded.task.manifest, undefined).causeMessage;
    loaded.log.warn({ queue: order.queue, task: order.task, problem }, 'An error escaped from a job that had ended');
  };
  process.on('uncaughtException', (error) => {
    const isIdle = running === undefined && loaded !== undefined;
    onStray(error);
    if (isIdle) setImmediate(end, 1);
  });
  process.on('unhandledRejection', onStray);
  way.onMessage((message) => {
    switch (message.say) {
      case 'run':
        return loaded && void run(message.job, loaded);
      case 'abort':
        if (!running) return;
        way.send({ say: 'aborting', run: runs });
        return running.abort.abort(reviveError(message.reason));
      case 'answer': {
        const { id, error } = message;
        asked.get(id)?.(error && reviveError(error));
        return asked.delete(id);
      }
      case 'close':
        return void (loaded?.code.close() ?? Promise.resolve()).catch(() => {}).finally(() => end(0));
    }
  });
  try {
    loaded = await load(host);
    way.send({ say: 'ready', memoryMb: memoryMb(order) });
  } catch (error) {
    way.send({ say: 'broken', error: carryError(error) });
  }
}
