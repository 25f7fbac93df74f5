import { AsyncLocalStorage } from 'node:async_hooks';
import type { AppSource } from '../../app/app-source.ts';
import type { NewJob } from '../../broker/broker.ts';
import { IsletError } from '../../errors.ts';
import { JobAbort } from '../../job-abort.ts';
import type { Log } from '../../log.ts';
import type { JobMeta } from '../../manifest/meta.ts';
import { type RedactedJob, redactionOf } from '../../manifest/redact.ts';
import { type Deferred, defer } from '../deferred.ts';
import { internalError, toFailure } from '../describe-error.ts';
import { executeTask } from '../execute-task.ts';
import { type ChildJobs, type ContextHost, JobContext } from '../job-context.ts';
import { type LoadableTask, type LoadedQueue, loadQueue } from '../load-queue.ts';
import { toResultJson } from '../outcome.ts';
import { carryError, reviveError } from './carried-error.ts';
import type { CodeEnd, FromUnit, ToUnit, UnitJob, UnitOrder } from './messages.ts';
import { lowerPriority, memoryMb, takesTooMuch } from './unit-resources.ts';
import { openWorkerChannel } from './worker-channel.ts';

interface UnitHost {
  readonly order: UnitOrder;
  /** Opens the app, and a log whose lines are handed to the worker. */
  open(writeLine: (line: string) => void): Promise<{ app: AppSource; config: unknown; log: Log }>;
  readonly children: Omit<ChildJobs, 'send'>;
  end(code: number): void;
}

/** Loads one task, then runs its jobs, one at a time, until the worker closes the unit. */
export const serveUnit = (host: UnitHost): Promise<void> => new UnitServer(host).load();

interface LoadedTask extends ContextHost {
  readonly queue: LoadedQueue;
  readonly task: LoadableTask;
}

interface RunningJob {
  readonly run: number;
  readonly input: unknown;
  readonly meta: JobMeta;
  readonly abort: JobAbort;
  /** Ends the job from outside the promise of its code. */
  readonly escaped: Deferred<CodeEnd>;
}

/** What the unit asks of its worker. */
type Request = { say: 'start'; run: number } | { say: 'send'; jobs: NewJob[] };

/** Holds the job whose code runs, also in timers that outlive it. A shared client's callbacks are the job's that opened it. */
const currentRun = new AsyncLocalStorage<RunningJob>();

class UnitServer {
  readonly #host: UnitHost;
  readonly #send: (message: FromUnit) => void;
  readonly #asked = new Map<number, Deferred<void>>();
  #lastId = 0;
  #runs = 0;
  #running: RunningJob | undefined;
  #loaded: LoadedTask | undefined;
  /** Whether something escaped here that may have left anything behind: no other job comes here then. */
  #isSpoilt = false;

  constructor(host: UnitHost) {
    this.#host = host;
    this.#send = openWorkerChannel(host.order, (message) => this.#take(message));
    process.on('uncaughtException', (error) => this.#takeStray(error, true));
    process.on('unhandledRejection', (error) => this.#takeStray(error, false));
  }

  async load(): Promise<void> {
    const { order } = this.#host;
    try {
      this.#loaded = await this.#loadTask();
      lowerPriority(order);
      this.#send({ say: 'ready', memoryMb: memoryMb(order) });
    } catch (error) {
      this.#send({ say: 'broken', error: carryError(error) });
    }
  }

  async #loadTask(): Promise<LoadedTask> {
    const { order, open, children } = this.#host;
    const { app, config, log } = await open((line) => this.#send({ say: 'log', line }));
    const source = await app.findQueue(order.queue);
    const tasks = source.tasks.filter(({ manifest }) => manifest.name === order.task);
    const host = { config, log: log.child({ queue: order.queue }) };
    const queue = await loadQueue(order.queue, { ...source, tasks }, host);
    const task = queue.tasks.get(order.task);
    if (!task) throw new IsletError('E_TASK_UNKNOWN', `Queue "${order.queue}" has no task "${order.task}".`);
    // A task with `load: 'on-first-job'` is loaded too: there is a job for it now.
    await task.load();
    const send = (jobs: NewJob[]) => this.#ask({ say: 'send', jobs });
    return { queue, task, log, children: { ...children, send } };
  }

  #take(message: ToUnit) {
    switch (message.say) {
      case 'run':
        if (this.#loaded) void this.#run(message.job, this.#loaded);
        return;
      case 'abort':
        if (!this.#running) return;
        this.#send({ say: 'aborting', run: this.#running.run });
        return this.#running.abort.abort(reviveError(message.reason));
      case 'answer': {
        const asked = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        return message.error ? asked?.reject(reviveError(message.error)) : asked?.resolve();
      }
      case 'close':
        return void this.#close();
    }
  }

  /** Takes an error that escaped from code that nobody waits for. After an exception, Node may run nothing on. */
  #takeStray(error: unknown, isException: boolean) {
    const { order, end } = this.#host;
    const running = this.#running;
    if (running && running === (currentRun.getStore() ?? running)) {
      // The job's code may still run.
      this.#isSpoilt = true;
      running.escaped.resolve({ error: carryError(error, this.#redactionOf(running)) });
      return running.abort.abort(error);
    }
    if (!this.#loaded) return this.#send({ say: 'broken', error: carryError(error) });
    const { task, log } = this.#loaded;
    const problem = toFailure(error, task.manifest, currentRun.getStore()).causeMessage;
    log.warn({ queue: order.queue, task: order.task, problem }, 'An error escaped from a job that had ended');
    if (!isException) return;
    // The job that runs now has not thrown the error, and may end.
    this.#isSpoilt = true;
    if (!running) setImmediate(end, 1);
  }

  async #run(job: UnitJob, loaded: LoadedTask): Promise<void> {
    const { order } = this.#host;
    const run = ++this.#runs;
    const input: unknown = JSON.parse(job.inputJson);
    const meta = Object.freeze(job.meta);
    const running = { run, input, meta, abort: new JobAbort(), escaped: defer<CodeEnd>() };
    this.#running = running;
    const ended = currentRun
      .run(running, () => this.#execute(job, loaded, running))
      .catch((error) => {
        this.#isSpoilt = true;
        return { error: carryError(internalError(error)) };
      });
    const end = await Promise.race([ended, running.escaped.promise]);
    this.#running = undefined;
    const last = this.#isSpoilt || run >= order.maxJobs || takesTooMuch(order);
    this.#send({ say: 'done', run, ...end, last });
  }

  /** Runs the job's code, in the same steps as in the worker's own thread. Never rejects. */
  async #execute(job: UnitJob, loaded: LoadedTask, running: RunningJob): Promise<CodeEnd> {
    const { task } = loaded;
    const { run, input, meta, abort } = running;
    const reportProgress = async (value: number | object) => this.#send({ say: 'progress', run, value });
    const delivered = { ...job, input, meta, queue: this.#host.order.queue, abort, reportProgress };
    const context = new JobContext(delivered, task.manifest, loaded);
    const attempt = { beforeRun: () => this.#ask({ say: 'start', run }) };
    try {
      const result = await executeTask(task, input, context, attempt);
      return { resultJson: toResultJson(task.manifest, result) };
    } catch (error) {
      return { error: carryError(error, this.#redactionOf(running)) };
    } finally {
      await context.flush();
    }
  }

  #redactionOf(job: RedactedJob) {
    return redactionOf(this.#loaded?.task.manifest, job);
  }

  #ask(request: Request): Promise<void> {
    const id = ++this.#lastId;
    const answered = defer();
    this.#asked.set(id, answered);
    this.#send({ ...request, id });
    return answered.promise;
  }

  async #close(): Promise<void> {
    const { queue, log } = this.#loaded ?? {};
    await queue?.close().catch((error) => {
      const problem = toFailure(error).causeMessage;
      log?.warn({ queue: this.#host.order.queue, problem }, 'Dependencies could not be closed');
    });
    this.#host.end(0);
  }
}
