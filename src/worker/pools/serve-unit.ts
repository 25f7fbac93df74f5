import { AsyncLocalStorage } from 'node:async_hooks';
import type { AppSource } from '../../app/app-source.ts';
import type { NewJob } from '../../broker/broker.ts';
import { IsletError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { JobContext } from '../create-context.ts';
import type { ChildJobs } from '../enqueue-port.ts';
import { executeTask } from '../execute-task.ts';
import { type LoadableTask, type LoadedQueue, loadQueue } from '../load-queue.ts';
import { toFailure, toResultJson } from '../outcome.ts';
import type { PoolJob } from '../pool.ts';
import { type CarriedError, carryError, reviveError } from './carried-error.ts';
import type { FromUnit, ToUnit, UnitOrder, Way } from './messages.ts';
import { goSecond } from './priority.ts';
import { memoryMb, takesTooMuch } from './unit-memory.ts';

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

/** A job whose code runs, and how to end it from outside its promise. */
interface Running {
  readonly abort: AbortController;
  fail(error: unknown): void;
}

/**
 * Tells whose code an error escaped from, where that is known: a job's timers may outlive it. What a shared client calls
 * back is that job's which has opened it.
 */
const currentRun = new AsyncLocalStorage<Running>();

/** What the worker is asked, and does in its own time. */
type Request = { say: 'start'; run: number } | { say: 'send'; jobs: NewJob[] };

function createRequests({ way }: UnitHost) {
  const asked = new Map<number, (error: CarriedError | undefined) => void>();
  let lastId = 0;
  return {
    ask: (request: Request) =>
      new Promise<void>((resolve, reject) => {
        const id = ++lastId;
        asked.set(id, (error) => (error ? reject(reviveError(error)) : resolve()));
        way.send({ ...request, id });
      }),
    onAnswer(id: number, error: CarriedError | undefined) {
      asked.get(id)?.(error);
      asked.delete(id);
    },
  };
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

interface RunScope {
  readonly run: number;
  readonly abort: AbortController;
  readonly host: UnitHost;
  readonly loaded: Loaded;
  ask(request: Request): Promise<void>;
}

/** Runs one job, in the same steps as in the worker's own thread. Never rejects. */
async function runJob(job: PoolJob, { run, abort, host, loaded, ask }: RunScope) {
  const { way, children, order } = host;
  const { code, task, log } = loaded;
  const reportProgress = async (value: number | object) => way.send({ say: 'progress', run, value });
  const delivered = { ...job, queue: order.queue, abort, reportProgress };
  const send = (jobs: NewJob[]) => ask({ say: 'send', jobs });
  const { openScope } = code;
  const context = new JobContext(delivered, task.manifest, { log, children: { ...children, send }, openScope });
  try {
    const attempt = { beforeRun: () => ask({ say: 'start', run }) };
    const result = await executeTask(task, { input: job.input, context, attempt });
    return { resultJson: toResultJson(task.manifest, result) };
  } catch (error) {
    return { error: carryError(error) };
  } finally {
    await context.flush();
  }
}

/** Calls `onStray` for what escapes from code that nobody waits for; `isException` when nothing may run on after it. */
function listenForStrays(onStray: (error: unknown, isException: boolean) => void): void {
  process.on('uncaughtException', (error) => onStray(error, true));
  process.on('unhandledRejection', (error) => onStray(error, false));
}

/** Loads one task, then runs its jobs, one at a time, until the worker says that it is enough. */
export async function serveUnit(host: UnitHost): Promise<void> {
  const { order, way, end } = host;
  const { ask, onAnswer } = createRequests(host);
  let runs = 0;
  let running: Running | undefined;
  let loaded: Loaded | undefined;
  /** It is of no use any more, whatever runs. */
  let stray = false;

  const run = async (job: PoolJob, loadedNow: Loaded) => {
    const number = ++runs;
    const abort = new AbortController();
    let onEscaped: (end: { error: CarriedError }) => void = () => {};
    const escaped = new Promise<{ error: CarriedError }>((resolve) => {
      onEscaped = resolve;
    });
    const fail = (error: unknown) => {
      // Its code may still run, so no other job comes here.
      stray = true;
      onEscaped({ error: carryError(error) });
      abort.abort(error);
    };
    running = { abort, fail };
    const scope = { run: number, abort, host, loaded: loadedNow, ask };
    const ended = await Promise.race([currentRun.run(running, runJob, job, scope), escaped]);
    running = undefined;
    const last = stray || number >= order.maxJobs || takesTooMuch(order);
    way.send({ say: 'done', run: number, ...ended, last });
  };
  listenForStrays((error, isException) => {
    if (running && running === (currentRun.getStore() ?? running)) return running.fail(error);
    if (!loaded) return way.send({ say: 'broken', error: carryError(error) });
    const problem = toFailure(error, loaded.task.manifest, undefined).causeMessage;
    loaded.log.warn({ queue: order.queue, task: order.task, problem }, 'An error escaped from a job that had ended');
    if (!isException) return;
    // The job that runs now has not thrown it.
    stray = true;
    if (!running) setImmediate(end, 1);
  });
  way.onMessage((message) => {
    switch (message.say) {
      case 'run':
        return loaded && void run(message.job, loaded);
      case 'abort':
        if (!running) return;
        way.send({ say: 'aborting', run: runs });
        return running.abort.abort(reviveError(message.reason));
      case 'answer':
        return onAnswer(message.id, message.error);
      case 'close':
        return void (loaded?.code.close() ?? Promise.resolve()).catch(() => {}).finally(() => end(0));
    }
  });
  try {
    loaded = await load(host);
    goSecond(order);
    way.send({ say: 'ready', memoryMb: memoryMb(order) });
  } catch (error) {
    way.send({ say: 'broken', error: carryError(error) });
  }
}
